"""Generative particle models without a generator's network: what is trained is the discriminator."""

from lightning_gantk.flows.discriminator_flow import DiscriminatorFlow
from lightning_gantk.flows.flow_generator import FlowGenerator
from lightning_gantk.flows.timed_dcgan import TimedDCGAN
from lightning_gantk.flows.timed_mlp import TimedMLP
from lightning_gantk.timed import FourierTime

__all__ = ["DiscriminatorFlow", "FlowGenerator", "FourierTime", "TimedDCGAN", "TimedMLP"]
