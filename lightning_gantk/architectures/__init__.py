"""Architectures: one description of a network, and its finite torch side. The infinite one is ``kernels``."""

from lightning_gantk.architectures.activations import register_activation
from lightning_gantk.architectures.base import Architecture, Network
from lightning_gantk.architectures.dcgan import DCGAN
from lightning_gantk.architectures.mlp import MLP
from lightning_gantk.architectures.resnet import ResNet
from lightning_gantk.architectures.transforms import Transformed

__all__ = ["DCGAN", "MLP", "Architecture", "Network", "ResNet", "Transformed", "register_activation"]
