"""The Laplace kernel."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import check_positive
from lightning_gantk.kernels.distance import DistanceKernel, length


class Laplace(DistanceKernel):
    """``exp(-gamma |x - y| / sqrt(d))``, d the number of coordinates of a sample.

    It has a cusp at x = y, as the kernels of ReLU networks have; its gradient there is 0.

    Args:
        gamma: Positive.

    Raises:
        ConfigError: If ``gamma`` is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import Laplace
        >>> round(float(Laplace(gamma=1.0)(jnp.array([[0.0]]), jnp.array([[2.0]]))[0, 0]), 4)  # exp(-2)
        0.1353
    """

    def __init__(self, gamma: float = 1.0):
        check_positive(self, gamma=gamma)
        self.gamma = gamma

    def of_distance(self, v: jax.Array, q_x: jax.Array, q_y: jax.Array, dimensions: int) -> jax.Array:
        return jnp.exp(-self.gamma * length(v))

    def __repr__(self) -> str:
        return f"Laplace(gamma={self.gamma})"
