"""Adversarial losses: three scalar functions (a, b, c) of a raw score, the same for torch and JAX."""

from lightning_gantk.losses.base import AdversarialLoss, Array
from lightning_gantk.losses.fdivergence import FDivergence
from lightning_gantk.losses.hinge import Hinge
from lightning_gantk.losses.ipm import IPM, ExternalIPM
from lightning_gantk.losses.kale import KALE
from lightning_gantk.losses.lsgan import LSGAN
from lightning_gantk.losses.monoflow import MonoFlow
from lightning_gantk.losses.saddle import Saddle
from lightning_gantk.losses.vanilla import Vanilla

__all__ = [
    "IPM",
    "KALE",
    "LSGAN",
    "AdversarialLoss",
    "Array",
    "ExternalIPM",
    "FDivergence",
    "Hinge",
    "MonoFlow",
    "Saddle",
    "Vanilla",
]
