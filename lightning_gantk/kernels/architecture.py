"""The infinite-width kernel of an architecture."""

import functools
import logging
from typing import Literal, get_args

import jax

from lightning_gantk.architectures.base import Architecture
from lightning_gantk.architectures.layers import Conv, GlobalAveragePool, Serial
from lightning_gantk.architectures.limit import registered
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import neural_tangents
from lightning_gantk.kernels.backends import native, pallas, tiles
from lightning_gantk.kernels.backends.base import Backend, Differentiable, check_samples, differentiable_gram
from lightning_gantk.kernels.backends.directions import DifferentiableDirections, Directions
from lightning_gantk.kernels.backends.jax_images import JaxImages
from lightning_gantk.kernels.backends.jax_vectors import JaxVectors
from lightning_gantk.kernels.backends.platforms import ByPlatform
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.recursions import Recursion, recursion_of
from lightning_gantk.kernels.stax import stax_layer

log = logging.getLogger(__name__)
_COPIES = 16  # whole (N, M, ...) arrays alive in the backward pass through neural-tangents, measured on MLP and DCGAN
_Wanted = Literal["auto", "native", "pallas", "jax", "neural-tangents"]
_BACKENDS = get_args(_Wanted)


class ArchitectureKernel(Kernel):
    """NTK (Jacot et al., 2018) or NNGP kernel of an architecture.

    Layers of ``architectures.layers`` have recursions of our own: for float32 native code on the CPU and fused kernels
    on CUDA GPUs, JAX otherwise. A global average pool, the standard parameterization, and layers of your own that have
    no recursion, go through neural-tangents (Novak et al., 2020). ``repr`` says which of both, the log which backend
    ran.

    Inner products are taken at the highest matmul precision: the TF32 default of recent GPUs leaves no digits of
    1 - cos^2 between near neighbours.

    Args:
        architecture: The description.
        kind: "ntk" or "nngp".
        backend: "auto", or one that must be taken: "native", "pallas" (in float32, and interpreted on a CPU,
            slowly), "jax" or "neural-tangents".

    Raises:
        ConfigError: If ``kind`` or ``backend`` is unknown, the backend cannot take the architecture, or JAX or
            neural-tangents cannot be used.
    """

    def __init__(
        self,
        architecture: Architecture,
        kind: Literal["ntk", "nngp"] = "ntk",
        *,
        backend: _Wanted = "auto",
    ):
        if kind not in ("ntk", "nngp"):
            raise ConfigError(f"A kernel's kind must be 'ntk' or 'nngp', got {kind!r}.")
        if backend not in _BACKENDS:
            raise ConfigError(f"'backend' must be one of {', '.join(map(repr, _BACKENDS))}, got {backend!r}.")
        self.architecture = architecture
        self.kind: Literal["ntk", "nngp"] = kind
        self._wanted: _Wanted = backend
        layers = tuple(architecture.layers())
        self._layer = Serial(layers)
        self._recursion = None if backend == "neural-tangents" else recursion_of(layers, kind)
        self._stax = None
        if self._recursion is None:
            if backend in ("native", "pallas", "jax"):
                raise ConfigError(
                    f"No kernel recursion for a layer of {architecture!r}: use backend='neural-tangents'."
                )
            self._stax = stax_layer(self._layer, neural_tangents.load().stax)[2]

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        check_samples(x, y)
        if self._stax is not None:
            with jax.default_matmul_precision("highest"):
                return self._stax(x, y, self.kind)
        shape, recursion = x.shape[1:], self._recursion
        assert recursion is not None  # or there would be a kernel of neural-tangents
        backend = self._backend(recursion, shape, x.dtype.name)
        derivatives = _in_jax(recursion, shape, tiles.CPU)
        if recursion.homogeneous:
            derivatives = DifferentiableDirections(derivatives)
        return differentiable_gram(backend, derivatives, x, y)

    def of_pair(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """As the base class has it, through neural-tangents: our recursions have first derivatives in closed form, in
        which JAX would not see all that moves.
        """
        kernel = self if self._stax is not None else type(self)(self.architecture, self.kind, backend="neural-tangents")
        return Kernel.of_pair(kernel, x, y)

    def check(self, in_shape: tuple[int, ...]) -> None:
        self.architecture.check(in_shape)

    def check_device(self, platform: str) -> None:
        if self._wanted == "native" and platform != "cpu":
            raise ConfigError(
                f"backend='native' takes samples on the CPU, not on {platform!r}: leave it at 'auto', or set "
                "trainer.accelerator to cpu."
            )

    def backend(self, shape: tuple[int, ...], dtype: str) -> Backend | None:
        return None if self._recursion is None else self._backend(self._recursion, shape, dtype)

    def _backend(self, recursion: Recursion, shape: tuple[int, ...], dtype: str) -> Backend:
        cpu: Backend = _in_jax(recursion, shape, tiles.CPU)
        cuda: Backend = _in_jax(recursion, shape, tiles.GPU)
        other, single = cuda, dtype == "float32"
        if self._wanted in ("auto", "native") and single:
            cpu = native.backend_of(recursion, shape) or cpu
        if self._wanted == "native" and cpu.name.startswith("JAX"):
            raise ConfigError("backend='native' cannot be used: it takes float32 and a compiler; the log says more.")
        if self._wanted in ("auto", "pallas") and single and jax.default_backend() != "cpu":
            cuda = pallas.backend_of(recursion, shape, interpret=False) or cuda
        if self._wanted == "pallas" and single:
            fused = pallas.backend_of(recursion, shape, interpret=True)
            if fused is None or (jax.default_backend() != "cpu" and cuda is other):
                raise ConfigError(
                    f"backend='pallas' cannot take {self.architecture!r}; the log says why. Leave it at 'auto'."
                )
            cpu = fused
        chosen = ByPlatform(cpu, other, cuda)
        return Directions(chosen) if recursion.homogeneous else chosen

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        kinds = {type(layer) for layer in self._layer.walk()}
        if Conv not in kinds:
            return _COPIES
        pixels = in_shape[-2] * in_shape[-1]
        return _COPIES * (pixels**2 if GlobalAveragePool in kinds else pixels)

    def __reduce__(self) -> tuple:
        """Copies are made anew: neural-tangents' functions are local ones, which do not pickle."""
        return functools.partial(type(self), backend=self._wanted), (self.architecture, self.kind)

    def __repr__(self) -> str:
        backend = "own recursion" if self._wanted == "auto" else self._wanted
        backend = "neural-tangents" if self._recursion is None else backend
        return f"ArchitectureKernel({self.architecture!r}, kind={self.kind!r}, backend={backend!r})"


registered.register(Architecture, ArchitectureKernel)


def _in_jax(recursion: Recursion, shape: tuple[int, ...], array_bytes: int) -> Differentiable:
    """The backend in plain JAX."""
    if len(shape) == 3 and recursion.images:
        return JaxImages(recursion, array_bytes)
    return JaxVectors(recursion.marginals, recursion.kernel, recursion.scale, array_bytes)
