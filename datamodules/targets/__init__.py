"""Distributions of points: mixtures, shapes, pictures."""

from datamodules.targets.base import Target
from datamodules.targets.mixtures import GaussianGrid, GaussianMixture, GaussianRing, RandomMixture
from datamodules.targets.picture import Picture
from datamodules.targets.shapes import Rings, TwoMoons

__all__ = [
    "GaussianGrid",
    "GaussianMixture",
    "GaussianRing",
    "Picture",
    "RandomMixture",
    "Rings",
    "Target",
    "TwoMoons",
]
