"""The kernel of the energy distance."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.distance import DistanceKernel, length


class EnergyDistance(DistanceKernel):
    """``|x| + |y| - |x - y|``: its squared MMD is the energy distance ``2 E|x - y| - E|x - x'| - E|y - y'|``.

    In IPM the first two terms cancel and ``-|x - y|`` is left; they make the kernel positive definite, which the other
    losses need. It has no scale to choose, a cusp at x = y and one at x = 0, where its gradient is that of the smooth
    part.

    References:
        Sejdinovic et al., "Equivalence of distance-based and RKHS-based statistics", Annals of Statistics, 2013.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import EnergyDistance
        >>> print(EnergyDistance()(jnp.array([[2.0]]), jnp.array([[1.0], [-1.0]])))
        [[2. 0.]]
    """

    def of_distance(self, v: jax.Array, q_x: jax.Array, q_y: jax.Array, dimensions: int) -> jax.Array:
        kernel = math.sqrt(dimensions) * (length(q_x) + length(q_y) - length(v))
        # A sample of zeros has no covariance with any other, where |x - y| differs from |y| in the last digit.
        return kernel - jax.lax.stop_gradient(jnp.where(jnp.minimum(q_x, q_y) == 0, kernel, 0))

    def __repr__(self) -> str:
        return "EnergyDistance()"
