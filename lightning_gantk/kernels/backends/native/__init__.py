"""Native code for our own recursions on the CPU, in float32: one pass over a core's caches, behind JAX's FFI."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.native.inner import NativeVectors
from lightning_gantk.kernels.backends.native.library import available
from lightning_gantk.kernels.backends.native.samples import NativeSamples
from lightning_gantk.kernels.backends.vectors import FEW
from lightning_gantk.kernels.recursions import Recursion

__all__ = ["available", "backend_of", "both_ways", "matvec"]


def backend_of(recursion: Recursion, shape: tuple[int, ...]) -> Backend | None:
    """The native backend for a kernel and samples ``(H, W, C)`` or ``(d,)``; None where there is none."""
    if not available():
        return None
    if (len(shape) == 3 and recursion.images) or (len(shape) == 1 and shape[0] <= FEW):
        kind: type[NativeSamples | NativeVectors] = NativeSamples
    else:
        kind = NativeVectors
    return kind(recursion) if kind.fits(recursion, shape) else None


def matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """A symmetric matrix ``(P, P)`` in float32 times a vector ``(P,)`` in float64, rounded like float64."""
    return jax.ffi.ffi_call("lightning_gantk_matvec", jax.ShapeDtypeStruct(vector.shape, jnp.float64))(matrix, vector)


def both_ways(matrix: jax.Array, vector: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``A v`` and ``A' u`` of a matrix ``(N, M)`` in float32 and vectors in float64, rounded like float64."""
    results = [jax.ShapeDtypeStruct((size,), jnp.float64) for size in matrix.shape]
    forth, back = jax.ffi.ffi_call("lightning_gantk_both_ways", results)(matrix, vector, other)
    return forth, back
