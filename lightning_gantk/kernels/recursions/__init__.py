"""The mathematics of a kernel, once: layers and activations at infinite width, as functions of distances."""

from lightning_gantk.kernels.recursions import layers as _layers  # noqa: F401 (registers those of this package)
from lightning_gantk.kernels.recursions.duals import Dual, DualPair, register_dual
from lightning_gantk.kernels.recursions.recursion import Recursion, recursion_of
from lightning_gantk.kernels.recursions.rules import is_pixelwise, marginals, pairs, pixelwise
from lightning_gantk.kernels.recursions.state import Entry, Pairs, Tape

__all__ = [
    "Dual",
    "DualPair",
    "Entry",
    "Pairs",
    "Recursion",
    "Tape",
    "is_pixelwise",
    "marginals",
    "pairs",
    "pixelwise",
    "recursion_of",
    "register_dual",
]
