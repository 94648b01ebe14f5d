"""Kernels of our own recursions for CUDA GPUs, in float32: written in Pallas, compiled by Triton.

``ArchitectureKernel(architecture, backend="pallas")`` takes them on every device: on a CPU they are interpreted, which
proves them and is slow. ``backend="jax"`` does without. An architecture that they do not know runs in plain JAX.
"""

import functools
import logging
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.recursions import Recursion

log = logging.getLogger(__name__)
_FEW = 8  # samples, of the problem that is lowered to see whether Triton knows all of a kernel


@functools.cache
def backend_of(recursion: Recursion, shape: tuple[int, ...], *, interpret: bool) -> Backend | None:
    """The backend for a kernel and samples ``(H, W, C)`` or ``(d,)``; None where there is none, and the log says why.

    Args:
        recursion: The kernel.
        shape: That of a sample.
        interpret: Whether to run on a CPU.
    """
    try:
        from lightning_gantk.kernels.backends.pallas.images import PallasImages  # Pallas takes a second to import
        from lightning_gantk.kernels.backends.pallas.vectors import PallasVectors
    except ImportError as error:
        log.warning("No fused kernels for GPUs: this JAX has no Pallas with Triton (%s).", error)
        return None
    backend: Backend
    if len(shape) == 3 and recursion.images:
        if not PallasImages.fits(recursion):
            log.warning("No fused kernels for layers that are no chain (%r): they run in plain JAX.", recursion.layer)
            return None
        backend = PallasImages(recursion, interpret=interpret)
    else:
        backend = PallasVectors(recursion, interpret=interpret)
    dtype = jnp.complex64 if recursion.homogeneous else jnp.float32  # see ``directions``
    return backend if interpret or _lowers(backend, shape, dtype) else None


def _lowers(backend: Backend, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether Triton knows every operation."""
    samples = jax.ShapeDtypeStruct((_FEW, *shape), dtype)
    weights = jax.ShapeDtypeStruct((_FEW,), jnp.float32)
    try:
        traced = jax.jit(backend.scores_and_gradient).trace(samples, samples, weights)
        traced.lower(lowering_platforms=("cuda",))
    except Exception as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        log.warning("No fused kernels for this architecture on GPUs, it runs in plain JAX: %s", reason[0][:300])
        return False
    return True
