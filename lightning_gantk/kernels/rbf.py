"""The Gaussian kernel."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel, Products, check_positive
from lightning_gantk.kernels.distances import squared_distances
from lightning_gantk.kernels.vectors import VectorProducts


class RBF(Kernel):
    """``exp(-gamma |x - y|^2 / d)``, d the number of coordinates of a sample.

    Args:
        gamma: Positive.

    Raises:
        ConfigError: If ``gamma`` is not positive.
    """

    def __init__(self, gamma: float = 1.0):
        check_positive(self, gamma=gamma)
        self.gamma = gamma

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.exp(-self.gamma / math.prod(x.shape[1:]) * squared_distances(x, y))

    def products(self, shape: tuple[int, ...], dtype: str) -> Products:
        return VectorProducts(lambda q: (), self._of_distance, kinked=False)

    def _of_distance(
        self, v: jax.Array, difference: object, x: object, p: object, *, paired: bool = False
    ) -> jax.Array:
        return jnp.exp(-self.gamma * v)

    def __repr__(self) -> str:
        return f"RBF(gamma={self.gamma})"
