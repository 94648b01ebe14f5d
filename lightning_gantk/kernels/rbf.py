"""The Gaussian kernel."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.base import Kernel, Products
from lightning_gantk.kernels.vectors import VectorProducts

_FEW = 16  # up to as many dimensions the differences are taken one by one: exact, and as cheap as a matrix product


class RBF(Kernel):
    """``exp(-gamma |x - y|^2 / d)``, d the number of coordinates of a sample.

    Args:
        gamma: Positive.

    Raises:
        ConfigError: If ``gamma`` is not positive.
    """

    def __init__(self, gamma: float = 1.0):
        if not (math.isfinite(gamma) and gamma > 0):
            raise ConfigError(f"'gamma' of RBF must be positive, got {gamma}.")
        self.gamma = gamma

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return jnp.exp(-self.gamma / x.shape[1] * squared_distances(x, y))

    def products(self, shape: tuple[int, ...], dtype: str) -> Products:
        return VectorProducts(lambda q: (), self._of_distance, kinked=False)

    def _of_distance(
        self, v: jax.Array, difference: object, x: object, p: object, *, paired: bool = False
    ) -> jax.Array:
        return jnp.exp(-self.gamma * v)

    def __repr__(self) -> str:
        return f"RBF(gamma={self.gamma})"


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """``|x_i - y_j|^2`` of vectors ``(N, d)`` and ``(M, d)`` as ``(N, M)``, never negative."""
    if x.shape[1] <= _FEW:
        return jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
    inner = jnp.matmul(x, y.T, precision="highest")
    return jnp.maximum(jnp.sum(x * x, -1)[:, None] + jnp.sum(y * y, -1)[None] - 2 * inner, 0)
