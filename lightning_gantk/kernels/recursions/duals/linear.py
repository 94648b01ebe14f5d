"""The identity."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.recursions.duals.base import Dual, DualPair, Side

Array = jax.Array


class Linear(Dual):
    """``u``.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Linear
        >>> float(Linear().variance(jnp.array(2.0)))
        2.0
    """

    bends = 0.0
    homogeneous = True

    def variance(self, q: Array) -> Array:
        return q

    def side(self, q: Array) -> Side:
        return ()

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        return difference

    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        zero = jnp.zeros_like(v)
        return DualPair(v, jnp.ones_like(v), zero, lambda gap, x, p: (zero, zero))
