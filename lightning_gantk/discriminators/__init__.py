"""Discriminators: one contract, finite or infinitely wide."""

from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.discriminators.finite import FiniteDiscriminator
from lightning_gantk.discriminators.initial import InitialFunction
from lightning_gantk.discriminators.ntk import NTKDiscriminator

__all__ = ["Discriminator", "FiniteDiscriminator", "InitialFunction", "NTKDiscriminator"]
