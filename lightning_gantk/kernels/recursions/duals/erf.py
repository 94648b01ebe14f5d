"""The error function."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.recursions.duals.angles import angle_of
from lightning_gantk.kernels.recursions.duals.base import DualPair, Side, Smooth, excess, shifted, shifted_excess

Array = jax.Array


class Erf(Smooth):
    """``a erf(b u) + c``; Williams, 1997.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Erf
        >>> round(float(Erf(1.0, 1.0, 0.0).variance(jnp.array(0.5))), 4)  # (2 / pi) arcsin(1/2)
        0.3333
    """

    def __init__(self, a: float, b: float, c: float):
        self.a2, self.c2, self.beta = a * a, c * c, 2 * b * b
        self.bends = self.beta

    def variance(self, q: Array) -> Array:
        # asin(z / (1 + z)) = atan2(z, sqrt(1 + 2 z)), z = beta q: accurate at both ends
        z = self.beta * q
        return 2 / math.pi * self.a2 * jnp.arctan2(z, jnp.sqrt(1 + 2 * z)) + self.c2

    def mean_square_slope(self, q: Array) -> Array:
        return 2 * self.a2 * self.beta / math.pi / jnp.sqrt(1 + 2 * self.beta * q)

    def reach(self, q: Array) -> Array:
        return jnp.full_like(q, 0.5 / max(self.beta, 1e-30))

    def side(self, q: Array) -> Side:
        return (*super().side(q), *shifted(self.beta * q))

    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        own_x, own_p = x[self.common :], p[self.common :]
        both = own_x[0] * own_p[0]
        e = shifted_excess(self.beta * excess(v, gap), own_x, own_p)
        angle, _, _, cosecant = angle_of(e)
        cosine, scale = 1 - e, self.a2 / math.pi
        slope = 2 * scale * self.beta * both * cosecant
        second = slope * self.beta * cosine * cosecant * cosecant * both  # d slope/dk

        def by_variance(gap: Array, x: Side, p: Side) -> tuple[Array, Array]:
            (inverse_x, root_x, *_), (inverse_p, root_p, *_) = x[self.common :], p[self.common :]
            kernel_q = -scale * self.beta * cosine * cosecant * inverse_x * inverse_x
            # inverse_p - inverse_x from the exact gap: of equal samples that are large its digits are all there is
            apart = math.sqrt(self.beta) * gap * (root_x * inverse_p + root_p * inverse_x) * both
            apart = apart / (inverse_x + inverse_p) - e * inverse_p
            slope_q = 0.5 * slope * self.beta * cosecant * cosecant * inverse_x * apart
            return x[2] - slope - 2 * kernel_q, slope_q  # k = (q_x + q_p - v) / 2

        # By angles: q' and the covariance are pi / 2 less these, and have no digits of them where variances are large.
        distance = 2 * scale * (2 * angle - own_x[3] - own_p[3])
        return self.near_or(DualPair(distance, slope, -0.5 * second, by_variance), v, gap, x, p)
