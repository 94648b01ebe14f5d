"""The Laplace kernel."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel, check_positive
from lightning_gantk.kernels.distances import distances


class Laplace(Kernel):
    """``exp(-gamma |x - y| / sqrt(d))``, d the number of coordinates of a sample.

    It has a cusp at x = y, as the kernels of ReLU networks have; its gradient there is 0.

    Args:
        gamma: Positive.

    Raises:
        ConfigError: If ``gamma`` is not positive.
    """

    def __init__(self, gamma: float = 1.0):
        check_positive(self, gamma=gamma)
        self.gamma = gamma

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.exp(-self.gamma / math.sqrt(math.prod(x.shape[1:])) * distances(x, y))

    def __repr__(self) -> str:
        return f"Laplace(gamma={self.gamma})"
