"""Architectures: one description, a finite torch network and an infinite-width JAX kernel."""

from lightning_gantk.architectures.base import Architecture
from lightning_gantk.architectures.dcgan import DCGAN
from lightning_gantk.architectures.mlp import MLP
from lightning_gantk.architectures.resnet import ResNet
from lightning_gantk.architectures.transforms import Transformed

__all__ = ["DCGAN", "MLP", "Architecture", "ResNet", "Transformed"]
