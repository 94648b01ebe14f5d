"""Piecewise linear activations with a kink at 0."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.recursions.duals.angles import angle_of
from lightning_gantk.kernels.recursions.duals.base import Dual, DualPair, Side, excess, root, rounding

Array = jax.Array


class Rectifier(Dual):
    """``a min(u, 0) + b max(u, 0)``: ReLU (0, 1), leaky ReLU (alpha, 1) and abs (-1, 1); Cho and Saul, 2009.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Rectifier
        >>> float(Rectifier(-1.0, 1.0).variance(jnp.array(2.0)))  # of |u|: all of it; of ReLU: half
        2.0
    """

    homogeneous = True

    def __init__(self, a: float, b: float):
        self.mean, self.jump = (a * a + b * b) / 2, (b - a) ** 2

    def variance(self, q: Array) -> Array:
        return self.mean * q

    def side(self, q: Array) -> Side:
        sigma, inverse = root(q)
        return sigma, inverse, (q == 0).astype(q.dtype)

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        return self.mean * difference

    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        (sigma_x, inverse_x, zero_x), (sigma_p, inverse_p, zero_p) = x, p
        # Products of both sides first: the same to the last bit for (x, p) and (p, x), so that equal samples have equal
        # rows.
        both = inverse_x * inverse_p
        # The angle between u and 0 counts as pi / 2, so that E phi' phi' takes phi'(0) = (a + b) / 2.
        e = jnp.maximum(jnp.maximum(excess(v, gap) * both, zero_x), zero_p)
        angle, lune, sine, cosecant = angle_of(e, opposite=rounding(v))  # as in ``excess``, of opposite samples
        jump = self.jump / math.pi
        steep = 0.25 * jump * cosecant * both

        def by_variance(gap: Array, x: Side, p: Side) -> tuple[Array, Array]:
            (_, inverse_x, _), (sigma_p, *_) = x, p
            distance_q = 0.5 * jump * (angle - sine * (sigma_p * inverse_x))
            return distance_q, steep * ((gap + sigma_p * e) * inverse_x)

        distance = self.mean * v - jump * ((sigma_x * sigma_p) * lune)
        return DualPair(distance, self.mean - 0.5 * jump * angle, -steep, by_variance)
