"""The infinite-width discriminator in JAX: everything between the two crossings of the bridge, compiled."""

import contextlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels import products
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import Dynamics


@dataclass(frozen=True)
class Trained:
    """A trained discriminator.

    Attributes:
        points: Training points ``(P, ...)``, fakes and then reals, each filled up to its capacity.
        weights: Dual weights ``(P,)``; 0 on filling.
        converged: Whether the solver reached its tolerance (a scalar boolean).
    """

    points: jax.Array
    weights: jax.Array
    converged: jax.Array


class Engine:
    """Compiled functions of one kernel and one dynamics. Shapes alone decide on compilations: counts are arguments.

    Args:
        kernel: The kernel.
        dynamics: Loss, time and tolerance.
        dtype: "float32" or "float64"; the latter works without JAX's global x64 switch.
    """

    def __init__(self, kernel: Kernel, dynamics: Dynamics, dtype: str):
        self.dtype = dtype
        # Closures, so that each engine has a compilation cache of its own that ends with it.
        self._fit = jax.jit(lambda *arguments: _fit(kernel, dynamics, dtype, *arguments))
        self._scores = jax.jit(lambda x, p, w: products.scores(kernel, x.astype(dtype), p, w))
        self._both = jax.jit(lambda x, p, w: products.scores_and_gradient(kernel, x.astype(dtype), p, w))

    def precision(self) -> contextlib.AbstractContextManager:
        """The context in which arrays of the engine's dtype exist."""
        return _enable_x64() if self.dtype == "float64" else contextlib.nullcontext()

    def fit(self, real: jax.Array, fake: jax.Array, real_count: int, fake_count: int) -> Trained:
        """Trains on the first ``real_count`` and ``fake_count`` rows; the other rows are filling."""
        with self.precision():
            return Trained(*self._fit(real, fake, real_count, fake_count))

    def scores(self, trained: Trained, x: jax.Array) -> jax.Array:
        """Scores ``(N,)`` of test points ``(N, ...)``."""
        with self.precision():
            return self._scores(x, trained.points, trained.weights)

    def scores_and_gradient(self, trained: Trained, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores ``(N,)`` and their gradients at the test points ``(N, ...)``."""
        with self.precision():
            return self._both(x, trained.points, trained.weights)


def _fit(
    kernel: Kernel,
    dynamics: Dynamics,
    dtype: str,
    real: jax.Array,
    fake: jax.Array,
    real_count: jax.Array,
    fake_count: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    points = jnp.concatenate([fake, real]).astype(dtype)
    mass = jnp.concatenate([_mass(len(fake), fake_count, dtype), _mass(len(real), real_count, dtype)])
    is_fake = jnp.arange(len(points)) < len(fake)
    weights, converged = dynamics.weights(kernel, points, mass, is_fake, f_0=jnp.zeros_like(mass))
    return points, weights, converged


def _mass(rows: int, count: jax.Array, dtype: str) -> jax.Array:
    return jnp.where(jnp.arange(rows) < count, 1 / jnp.asarray(count, dtype), 0).astype(dtype)


def _enable_x64() -> contextlib.AbstractContextManager:
    """JAX's scoped switch to 64 bits, under its name in this version."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64(True)
