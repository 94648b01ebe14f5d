"""The inverse multiquadric kernel."""

import math

import jax

from lightning_gantk.kernels.base import Kernel, check_positive
from lightning_gantk.kernels.distances import squared_distances


class InverseMultiquadric(Kernel):
    """``(1 + gamma |x - y|^2 / d)^(-power)``, d the number of coordinates of a sample.

    Smooth like ``RBF``, to which it tends for a large power at fixed gamma * power, with tails that fall slowly: far
    samples still feel each other.

    Args:
        gamma: Positive.
        power: Positive; 1/2 for the inverse multiquadric in the narrow sense.

    Raises:
        ConfigError: If a parameter is not positive.
    """

    def __init__(self, gamma: float = 1.0, power: float = 0.5):
        check_positive(self, gamma=gamma, power=power)
        self.gamma, self.power = gamma, power

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return (1 + self.gamma / math.prod(x.shape[1:]) * squared_distances(x, y)) ** -self.power

    def __repr__(self) -> str:
        return f"InverseMultiquadric(gamma={self.gamma}, power={self.power})"
