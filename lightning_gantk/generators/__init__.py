"""Generators: latent samples in, samples out."""

from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.dcgan import DCGANGenerator
from lightning_gantk.generators.latent import LatentSampler
from lightning_gantk.generators.mlp import MLPGenerator
from lightning_gantk.generators.particles import Particles

__all__ = ["DCGANGenerator", "Generator", "LatentSampler", "MLPGenerator", "Particles"]
