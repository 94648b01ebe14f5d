"""Kernels of the operator (-Laplace)^m: powers of the distance, and its logarithm."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.distance import DistanceKernel


class Polyharmonic(DistanceKernel):
    """``-r^k`` for 0 < k < 2, ``-log r`` for k = 0 and ``r^k`` for k < 0, with ``r^2 = |x - y|^2 + softening^2``.

    With IPM it is the optimal critic of a gradient penalty of order m in d dimensions, k = 2m - d: the solution of
    ``(-Laplace)^m f = const (p_fake - p_real)`` (Asokan and Seelamantula, arXiv 2306.01654), with the scale left out. k
    = 1 is the energy distance, k = 2 - d the Coulomb potential.

    For k >= 0 the kernel is positive definite only for weights of sum 0, which IPM has. It takes losses with constant
    slopes alone. At k >= 2 it would not even be that: its sign then depends on the means of the batches.

    Args:
        order: k, below 2.
        softening: A length at which the kernel levels off, in the units of the samples; 0 leaves a cusp at x = y, whose
            gradient counts as 0. For k <= 0 there must be one.

    Raises:
        ConfigError: If ``order`` is 2 or more, or it is 0 or less without softening.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import Polyharmonic
        >>> print(Polyharmonic(order=1.0)(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]])))
        [[-5.]]
    """

    def __init__(self, order: float = 1.0, softening: float = 0.0):
        if not (math.isfinite(order) and order < 2):
            raise ConfigError(
                f"'order' of Polyharmonic must lie below 2, where the kernel has a sign of its own, got {order}."
            )
        number("softening", softening, of="of Polyharmonic")
        if order <= 0 and not softening:
            raise ConfigError(
                f"Polyharmonic(order={order:g}) is infinite where samples meet: give a 'softening' above 0, or an "
                "order between 0 and 2."
            )
        self.order, self.softening = order, softening
        self.conditional = order >= 0

    def of_distance(self, v: jax.Array, q_x: jax.Array, q_y: jax.Array, dimensions: int) -> jax.Array:
        square = v * dimensions + self.softening**2
        if self.order == 0:
            return -jnp.log(square) / 2
        some = square > 0  # both branches of a `where` are differentiated: none may divide by 0
        power = jnp.where(some, jnp.where(some, square, 1) ** (self.order / 2), 0)
        return power if self.order < 0 else -power

    def __repr__(self) -> str:
        return f"Polyharmonic(order={self.order}, softening={self.softening})"
