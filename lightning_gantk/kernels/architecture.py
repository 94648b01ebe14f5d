"""The infinite-width kernel of an architecture."""

import logging
from typing import TYPE_CHECKING, Literal

import jax

from lightning_gantk.architectures.layers import Conv, GlobalAveragePool, Layer, Serial, Sum
from lightning_gantk.architectures.standard import Standard
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import native, neural_tangents
from lightning_gantk.kernels.base import Kernel, Products
from lightning_gantk.kernels.images import ImageProducts
from lightning_gantk.kernels.native_products import NativeSampleProducts, NativeVectorProducts
from lightning_gantk.kernels.recursions import is_kinked, recursion_of
from lightning_gantk.kernels.vectors import FEW, VectorProducts

if TYPE_CHECKING:
    from lightning_gantk.architectures.base import Architecture

log = logging.getLogger(__name__)
_COPIES = 16  # whole (N, M, ...) arrays alive in the backward pass through neural-tangents, measured on MLP and DCGAN
_ENGINES = ("auto", "native", "jax", "neural-tangents")


class ArchitectureKernel(Kernel):
    """NTK (Jacot et al., 2018) or NNGP kernel of an architecture.

    Layers of ``architectures.layers`` have recursions of our own: native code on the CPU in float32 (where a C++
    compiler is found), JAX otherwise. A global average pool, the standard parameterization, and layers of your own that
    have no recursion, go through neural-tangents (Novak et al., 2020). ``repr`` says which of both, the log which
    engine ran.

    Inner products are taken at the highest matmul precision: the TF32 default of recent GPUs leaves no digits of
    1 - cos^2 between near neighbours.

    Args:
        architecture: The description.
        kind: "ntk" or "nngp".
        engine: "auto", or one that must be taken: "native", "jax" or "neural-tangents".

    Raises:
        ConfigError: If ``kind`` or ``engine`` is unknown, the engine cannot take the architecture, or JAX or
            neural-tangents cannot be used.
    """

    def __init__(
        self,
        architecture: "Architecture",
        kind: Literal["ntk", "nngp"] = "ntk",
        *,
        engine: Literal["auto", "native", "jax", "neural-tangents"] = "auto",
    ):
        if kind not in ("ntk", "nngp"):
            raise ConfigError(f"A kernel's kind must be 'ntk' or 'nngp', got {kind!r}.")
        if engine not in _ENGINES:
            raise ConfigError(f"'engine' must be one of {', '.join(map(repr, _ENGINES))}, got {engine!r}.")
        self.architecture, self.kind, self.engine = architecture, kind, engine
        self._layers = tuple(architecture.layers())
        self._recursion = None if engine == "neural-tangents" else recursion_of(self._layers, kind)
        self._stax = None
        if self._recursion is None:
            if engine in ("native", "jax"):
                raise ConfigError(f"No kernel recursion for a layer of {architecture!r}: use engine='neural-tangents'.")
            self._stax = Serial(self._layers).stax(neural_tangents.load().stax)[2]

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        if self._stax is not None:
            with jax.default_matmul_precision("highest"):
                return self._stax(x, y, self.kind)
        return _gram(self, x, y)

    def check(self, in_shape: tuple[int, ...]) -> None:
        self.architecture.check(in_shape)

    def products(self, shape: tuple[int, ...], dtype: str) -> Products | None:
        if self._recursion is None:
            return None
        plain = self._plain(shape)
        wanted = self.engine == "native" or (
            self.engine == "auto" and dtype == "float32" and jax.default_backend() == "cpu"
        )
        if not wanted or not native.available():
            if self.engine == "native":
                raise ConfigError("engine='native' cannot be used; the log says why.")
            return plain
        if isinstance(plain, ImageProducts) or shape[0] <= FEW:
            few = len(shape) == 1 or isinstance(plain, ImageProducts)
            if few and NativeSampleProducts.fits(self._recursion, shape):
                return NativeSampleProducts(self._recursion)
        if isinstance(plain, VectorProducts) and NativeVectorProducts.fits(self._recursion):
            return NativeVectorProducts(self._recursion, plain.kinked)
        return plain

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        layer = Serial(self._layers)
        if not _has(layer, Conv):
            return _COPIES
        pixels = in_shape[-2] * in_shape[-1]
        return _COPIES * (pixels**2 if _has(layer, GlobalAveragePool) else pixels)

    def _plain(self, shape: tuple[int, ...]) -> ImageProducts | VectorProducts:
        """The engine in plain JAX."""
        recursion = self._recursion
        if len(shape) == 3 and recursion.images:
            return ImageProducts(recursion)
        return VectorProducts(recursion.marginals, recursion.kernel, is_kinked(recursion.layer))

    def __repr__(self) -> str:
        engine = "own recursion" if self.engine == "auto" else self.engine
        engine = "neural-tangents" if self._recursion is None else engine
        return f"ArchitectureKernel({self.architecture!r}, kind={self.kind!r}, engine={engine!r})"


def _gram(kernel: ArchitectureKernel, x: jax.Array, y: jax.Array) -> jax.Array:
    """The Gram matrix by the kernel's engine, with derivatives (in reverse mode, once) by the engine in JAX."""
    plain = kernel._plain(x.shape[1:])

    @jax.custom_vjp
    def matrix(x: jax.Array, y: jax.Array) -> jax.Array:
        return kernel.products(x.shape[1:], x.dtype.name).gram(x, y)

    def forward(x: jax.Array, y: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        return matrix(x, y), (x, y)

    def backward(saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, y = saved
        return plain.pullback(x, y, cotangent), plain.pullback(y, x, cotangent.T)

    matrix.defvjp(forward, backward)
    return matrix(x, y)


def _has(layer: Layer, kind: type[Layer]) -> bool:
    """Whether a layer of a kind stands anywhere in a description."""
    inner = layer.layers if isinstance(layer, Serial) else layer.branches if isinstance(layer, Sum) else ()
    inner = (layer.layer,) if isinstance(layer, Standard) else inner
    return isinstance(layer, kind) or any(_has(part, kind) for part in inner)
