"""The Gaussian kernel."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import check_positive
from lightning_gantk.kernels.distance import DistanceKernel


class RBF(DistanceKernel):
    """``exp(-gamma |x - y|^2 / d)``, d the number of coordinates of a sample.

    Args:
        gamma: Positive.

    Raises:
        ConfigError: If ``gamma`` is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import RBF
        >>> round(float(RBF(gamma=0.5)(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 1.0]]))[0, 0]), 4)  # exp(-1/2)
        0.6065
    """

    def __init__(self, gamma: float = 1.0):
        check_positive(self, gamma=gamma)
        self.gamma, self.scale = gamma, 1 / gamma

    def of_distance(self, v: jax.Array, q_x: jax.Array, q_y: jax.Array, dimensions: int) -> jax.Array:
        return jnp.exp(-self.gamma * v)

    def __repr__(self) -> str:
        return f"RBF(gamma={self.gamma})"
