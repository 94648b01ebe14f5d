"""Generators: latent samples in, samples out."""

from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.coupled import CoupledParticles
from lightning_gantk.generators.dcgan import DCGANGenerator
from lightning_gantk.generators.latent import LatentSampler
from lightning_gantk.generators.mlp import MLPGenerator
from lightning_gantk.generators.module import FromModule
from lightning_gantk.generators.network import NetworkGenerator
from lightning_gantk.generators.ntk import NTKGenerator
from lightning_gantk.generators.particles import Particles
from lightning_gantk.generators.replayed import ReplayedFlow
from lightning_gantk.generators.start_map import StartMap

__all__ = [
    "CoupledParticles",
    "DCGANGenerator",
    "FromModule",
    "Generator",
    "LatentSampler",
    "MLPGenerator",
    "NTKGenerator",
    "NetworkGenerator",
    "Particles",
    "ReplayedFlow",
    "StartMap",
]
