"""Dual kernels of activations: what one does to a pair of Gaussian pre-activations, a file for each family."""

from lightning_gantk.kernels.recursions.duals.base import Dual, DualPair, Side, Smooth
from lightning_gantk.kernels.recursions.duals.erf import Erf
from lightning_gantk.kernels.recursions.duals.gelu import Gelu
from lightning_gantk.kernels.recursions.duals.linear import Linear
from lightning_gantk.kernels.recursions.duals.names import dual_of, has_dual, register_dual
from lightning_gantk.kernels.recursions.duals.rectifier import Rectifier
from lightning_gantk.kernels.recursions.duals.sin import Sin

__all__ = [
    "Dual",
    "DualPair",
    "Erf",
    "Gelu",
    "Linear",
    "Rectifier",
    "Side",
    "Sin",
    "Smooth",
    "dual_of",
    "has_dual",
    "register_dual",
]
