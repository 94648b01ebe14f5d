"""The kernel of the energy distance."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.distances import distances


class EnergyDistance(Kernel):
    """``|x| + |y| - |x - y|``: its squared MMD is the energy distance ``2 E|x - y| - E|x - x'| - E|y - y'|``.

    In IPM the first two terms cancel and ``-|x - y|`` is left; they make the kernel positive definite, which the other
    losses need. It has no scale to choose, a cusp at x = y and one at x = 0, where its gradient is that of the smooth
    part.

    References:
        Sejdinovic et al., "Equivalence of distance-based and RKHS-based statistics", Annals of Statistics, 2013.
    """

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        of_x, of_y = (distances(side, jnp.zeros_like(side[:1]))[:, 0] for side in (x, y))
        return of_x[:, None] + of_y[None] - distances(x, y)

    def __repr__(self) -> str:
        return "EnergyDistance()"
