"""Generative particle models without a generator's network: what is trained is the discriminator."""

from lightning_gantk.flows.discriminator_flow import DiscriminatorFlow
from lightning_gantk.flows.flow_generator import FlowGenerator
from lightning_gantk.flows.timed_network import TimedMLP

__all__ = ["DiscriminatorFlow", "FlowGenerator", "TimedMLP"]
