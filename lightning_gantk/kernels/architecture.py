"""The infinite-width kernel of an architecture, through neural-tangents."""

import warnings
from typing import TYPE_CHECKING, Literal

import jax

from lightning_gantk.architectures.layers import Conv, GlobalAveragePool, Layer, Serial, Sum
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import neural_tangents
from lightning_gantk.kernels.base import Kernel

if TYPE_CHECKING:
    from lightning_gantk.architectures.base import Architecture

_COPIES = 16  # whole (N, M, ...) arrays alive in the backward pass through neural-tangents, measured on MLP and DCGAN


class ArchitectureKernel(Kernel):
    """NTK (Jacot et al., 2018) or NNGP kernel of an architecture, by neural-tangents (Novak et al., 2020).

    Inner products are taken at the highest matmul precision: the TF32 default of recent GPUs leaves no digits of
    1 - cos^2 between near neighbours.

    Args:
        architecture: The description.
        kind: "ntk" or "nngp".

    Raises:
        ConfigError: If ``kind`` is unknown, or JAX or neural-tangents cannot be used.
    """

    def __init__(self, architecture: "Architecture", kind: Literal["ntk", "nngp"] = "ntk"):
        if kind not in ("ntk", "nngp"):
            raise ConfigError(f"A kernel's kind must be 'ntk' or 'nngp', got {kind!r}.")
        self.architecture, self.kind = architecture, kind
        self._layer = Serial(architecture.layers())
        self._kernel = self._layer.stax(neural_tangents.load().stax)[2]

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`FanIn` layers assume independent inputs")  # branches have own weights
            return self._kernel(x, y, self.kind)

    def check(self, in_shape: tuple[int, ...]) -> None:
        self.architecture.check(in_shape)

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        if not _has(self._layer, Conv):
            return _COPIES
        pixels = in_shape[-2] * in_shape[-1]
        return _COPIES * (pixels**2 if _has(self._layer, GlobalAveragePool) else pixels)

    def __repr__(self) -> str:
        return f"ArchitectureKernel({self.architecture!r}, kind={self.kind!r})"


def _has(layer: Layer, kind: type[Layer]) -> bool:
    """Whether a layer of a kind stands anywhere in a description."""
    inner = layer.layers if isinstance(layer, Serial) else layer.branches if isinstance(layer, Sum) else ()
    return isinstance(layer, kind) or any(_has(part, kind) for part in inner)
