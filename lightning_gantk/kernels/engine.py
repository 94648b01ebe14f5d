"""The infinite-width discriminator in JAX: everything between the two crossings of the bridge, compiled."""

import contextlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels import products
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import Dynamics, keeps_gram, matvec

Values = tuple[jax.Array, jax.Array] | None  # of a function on the fakes and on the reals


@dataclass(frozen=True)
class Trained:
    """A trained discriminator.

    Attributes:
        points: Training points ``(P, ...)``, fakes and then reals, each filled up to its capacity.
        weights: Dual weights ``(P,)``; 0 on filling.
        converged: Whether the solver reached its tolerance (a scalar boolean).
        products: How many products with the Gram matrix the weights took.
        fakes: How many of the points are fakes or their filling.
    """

    points: jax.Array
    weights: jax.Array
    converged: jax.Array
    products: jax.Array
    fakes: int


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
        self._matrix = jax.jit(lambda *arguments: _matrix(kernel, dtype, *arguments))
        self._solve = jax.jit(lambda *arguments: _solve(dynamics, *arguments), static_argnums=3)
        self._products = dynamics.loss.slopes != "constant" and dynamics.time > 0
        self._scores = jax.jit(
            lambda x, p, w, fakes: products.scores(kernel, x.astype(dtype), p, w, fakes), static_argnums=3
        )
        self._both = jax.jit(
            lambda x, p, w, fakes: products.scores_and_gradient(kernel, x.astype(dtype), p, w, fakes), static_argnums=3
        )
        self._both_at_fakes = jax.jit(
            lambda p, w, fakes: products.scores_and_gradient_at_points(kernel, p, w, fakes), static_argnums=2
        )

    def precision(self) -> contextlib.AbstractContextManager:
        """The context in which arrays of the engine's dtype exist."""
        return _enable_x64() if self.dtype == "float64" else contextlib.nullcontext()

    def fit(self, real: jax.Array, fake: jax.Array, real_count: int, fake_count: int, f_0: Values = None) -> Trained:
        """Trains on the first ``real_count`` and ``fake_count`` rows; the other rows are filling.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``.
            real_count: How many rows of ``real`` count.
            fake_count: How many rows of ``fake`` count.
            f_0: The values ``(N,)`` at the fakes and ``(M,)`` at the reals, filling included, of the function that
                training starts from; 0 where none are given.
        """
        with self.precision():
            if not (self._products and keeps_gram(len(real) + len(fake), jnp.dtype(self.dtype).itemsize)):
                return Trained(*self._fit(real, fake, real_count, fake_count, f_0), fakes=len(fake))
            points, mass, matrix = self._matrix(real, fake, real_count, fake_count)
        return Trained(points, *self.kept_weights(matrix, mass, len(fake), f_0), fakes=len(fake))

    def kept_weights(
        self, matrix: jax.Array, mass: jax.Array, fakes: int, f_0: Values = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Weights from a Gram matrix ``(P, P)`` with the fakes first, for a loss whose slopes are not constant.

        Args:
            matrix: The matrix, in either dtype.
            mass: ``(P,)``: 1/n on fakes, 1/m on reals, 0 on filling.
            fakes: How many points are fakes or their filling.
            f_0: As for ``fit``.

        Returns:
            Weights ``(P,)`` in the dtype of the masses, whether the solver converged, and how many products it took.
        """
        with _enable_x64():
            return self._solve(matrix, mass, f_0, fakes)

    def scores(self, trained: Trained, x: jax.Array) -> jax.Array:
        """Scores ``(N,)`` of test points ``(N, ...)``."""
        with self.precision():
            return self._scores(x, trained.points, trained.weights, trained.fakes)

    def scores_and_gradient(self, trained: Trained, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores ``(N,)`` and their gradients at the test points ``(N, ...)``."""
        with self.precision():
            return self._both(x, trained.points, trained.weights, trained.fakes)

    def scores_and_gradient_at_fakes(self, trained: Trained) -> tuple[jax.Array, jax.Array]:
        """The same at the fakes among the training points, filling included."""
        with self.precision():
            return self._both_at_fakes(trained.points, trained.weights, trained.fakes)


def _fit(
    kernel: Kernel,
    dynamics: Dynamics,
    dtype: str,
    real: jax.Array,
    fake: jax.Array,
    real_count: jax.Array,
    fake_count: jax.Array,
    f_0: Values,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    points, mass = _problem(dtype, real, fake, real_count, fake_count)
    is_fake = jnp.arange(len(points)) < len(fake)
    return points, *dynamics.weights(kernel, points, mass, is_fake, _start(f_0, mass))


def _matrix(kernel: Kernel, dtype: str, real: jax.Array, fake: jax.Array, *counts: jax.Array) -> tuple:
    points, mass = _problem(dtype, real, fake, *counts)
    return points, mass, products.gram(kernel, points)


def _solve(dynamics: Dynamics, matrix: jax.Array, mass: jax.Array, f_0: Values, fakes: int) -> tuple:
    """Weights from a Gram matrix, worked out in float64 and rounded once."""
    wide = mass.astype("float64")
    is_fake = jnp.arange(len(mass)) < fakes
    found = dynamics.weights_by_products(lambda v: matvec(matrix, v), wide, is_fake, _start(f_0, wide))
    return found.weights.astype(mass.dtype), found.converged, found.products.astype("int32")


def _start(f_0: Values, mass: jax.Array) -> jax.Array:
    """f_0 on the training points, in the dtype of their masses."""
    return jnp.zeros_like(mass) if f_0 is None else jnp.concatenate(f_0).astype(mass.dtype)


def _problem(
    dtype: str, real: jax.Array, fake: jax.Array, real_count: jax.Array, fake_count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Training points and their masses."""
    mass = jnp.concatenate([_mass(len(fake), fake_count, dtype), _mass(len(real), real_count, dtype)])
    return _join(real, fake).astype(dtype), mass


def _join(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.concatenate([fake, real])


def _mass(rows: int, count: jax.Array, dtype: str) -> jax.Array:
    return jnp.where(jnp.arange(rows) < count, 1 / jnp.asarray(count, dtype), 0).astype(dtype)


def _enable_x64() -> contextlib.AbstractContextManager:
    """JAX's scoped switch to 64 bits, under its name in this version."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64(True)
