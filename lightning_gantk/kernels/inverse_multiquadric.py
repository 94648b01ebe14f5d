"""The inverse multiquadric kernel."""

import jax

from lightning_gantk.kernels.base import check_positive
from lightning_gantk.kernels.distance import DistanceKernel


class InverseMultiquadric(DistanceKernel):
    """``(1 + gamma |x - y|^2 / d)^(-power)``, d the number of coordinates of a sample.

    Smooth like ``RBF``, to which it tends for a large power at fixed gamma * power, with tails that fall slowly: far
    samples still feel each other.

    Args:
        gamma: Positive.
        power: Positive; 1/2 for the inverse multiquadric in the narrow sense.

    Raises:
        ConfigError: If a parameter is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import InverseMultiquadric
        >>> kernel = InverseMultiquadric(gamma=3.0, power=0.5)
        >>> print(kernel(jnp.array([[0.0]]), jnp.array([[1.0]])))  # 1 / sqrt(1 + 3)
        [[0.5]]
    """

    def __init__(self, gamma: float = 1.0, power: float = 0.5):
        check_positive(self, gamma=gamma, power=power)
        self.gamma, self.power = gamma, power
        self.scale = 1 / (gamma * max(1.0, power))

    def of_distance(self, v: jax.Array, q_x: jax.Array, q_y: jax.Array, dimensions: int) -> jax.Array:
        return (1 + self.gamma * v) ** -self.power

    def __repr__(self) -> str:
        return f"InverseMultiquadric(gamma={self.gamma}, power={self.power})"
