"""Kernels from numpy and back: the contracts' only way into JAX, in either dtype, by any backend."""

import contextlib
import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.architectures import Architecture
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import Kernel, expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native

BackendName = Literal["native", "jax", "neural-tangents"]
BACKENDS: tuple[BackendName, ...] = ("native", "jax", "neural-tangents")


def arithmetic(dtype: str) -> contextlib.AbstractContextManager:
    """The context in which arrays of a dtype exist."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def image_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample in JAX: ``(H, W, C)`` for ``(C, H, W)``."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def gram(kernel: Kernel, x: np.ndarray, y: np.ndarray, dtype: str) -> np.ndarray:
    """The Gram matrix, worked out in a dtype and given in it."""
    with arithmetic(dtype):
        return np.asarray(_gram(kernel)(jnp.asarray(x.astype(dtype)), jnp.asarray(y.astype(dtype))))


def sums(
    kernel: Kernel, x: np.ndarray, points: np.ndarray, weights: np.ndarray, dtype: str, first: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """``s(x) = sum_p k(x, p) w_p`` and its gradient as training works them out, compiled, in a dtype."""
    with arithmetic(dtype):
        values, gradient = _sums(kernel, first)(*[jnp.asarray(array.astype(dtype)) for array in (x, points, weights)])
        return np.asarray(values), np.asarray(gradient)


# Compiled whole, and once for a kernel and a size: what asks for the same again is answered at once.
@functools.lru_cache(maxsize=64)
def _gram(kernel: Kernel) -> Callable:
    return jax.jit(lambda x, y: kernel(x, y))


@functools.lru_cache(maxsize=64)
def _sums(kernel: Kernel, first: int | None) -> Callable:
    return jax.jit(lambda x, p, w: expansion.scores_and_gradient(kernel, x, p, w, first))


def kernel_by(architecture: Architecture, backend: BackendName, kind: Literal["ntk", "nngp"] = "ntk") -> Kernel | None:
    """The kernel of an architecture by a backend; None where that cannot take it."""
    if backend == "native" and not native.available():
        return None
    try:
        return ArchitectureKernel(architecture, kind, backend=backend)
    except ConfigError:
        return None
