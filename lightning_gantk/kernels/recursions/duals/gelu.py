"""The Gaussian error linear unit."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.recursions.duals.angles import angle_of
from lightning_gantk.kernels.recursions.duals.base import DualPair, Side, Smooth, excess, shifted, shifted_excess

Array = jax.Array
_TURN = 2 * math.pi


class Gelu(Smooth):
    """``u Phi(u)``; Tsuchida et al., 2021, whose formulas are written here in variables that do not overflow.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Gelu
        >>> round(float(Gelu().variance(jnp.array(1.0))), 3)  # E (u Phi(u))^2 of a standard normal u
        0.425
    """

    bends = 1.0

    def variance(self, q: Array) -> Array:
        root = jnp.sqrt(1 + 2 * q)
        return q * (0.25 + (q / (q + 1) / root + jnp.arctan2(q, root) / 2) / math.pi)

    def mean_square_slope(self, q: Array) -> Array:
        root = jnp.sqrt(1 + 2 * q)
        rest = 1 / (1 + 2 * q) + 2 / (1 + q)
        return 0.25 + (jnp.arctan2(q, root) + q / root * rest) / _TURN

    def reach(self, q: Array) -> Array:
        # Far from 0 a distance is a difference of numbers of the size of sqrt(q), which moves where both errors meet.
        return jnp.minimum(q, 0.5 * jnp.sqrt(jnp.sqrt(1 + q)))

    def side(self, q: Array) -> Side:
        ends = 2 * q / (1 + q) * q / jnp.sqrt(1 + 2 * q)
        return (*super().side(q), *shifted(q), jnp.sqrt(1 + q), ends)

    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        (q_x, *_, r_x, _, share_x, angle_x, root_x, ends_x), (q_p, *_, r_p, _, share_p, angle_p, root_p, ends_p) = x, p
        e = shifted_excess(excess(v, gap), x[self.common :], p[self.common :])
        angle, _, s, i = angle_of(e)  # i = 1 / s
        c, rr, rho = 1 - e, r_x * r_p, share_x * share_p
        arc, i2 = math.pi / 2 - angle, i * i
        lack = rr * rr + r_x * r_x + share_x * r_p * r_p  # 1 + (1 - q_x q_p) / ((1 + q_x) (1 + q_p))
        slope = 0.25 + (arc + c * i * ((i2 * rr) * rr + lack)) / _TURN
        second = rr * i * (1 + (i2 * rr) * rr * (1 + 3 * c * c * i2) + lack * i2) / _TURN  # d slope/dk

        def by_variance(gap: Array, x: Side, p: Side) -> tuple[Array, Array]:
            (r_x, _, share_x, *_), (r_p, _, share_p, _, root_p, _), q_p = x[self.common :], p[self.common :], p[0]
            a = r_x * r_x
            kernel_q = -a * c * c * rr * i * (0.5 * i2 + 1) - 0.5 * c * c * i * r_x * root_p
            kernel_q += q_p * r_p * r_x * (s * a + 0.5 * share_x * i)
            mixed = -a * c * i * (0.5 + 1.5 * (i2 * rr) * (i2 * rr) + 0.5 * i2 * lack + lack - 1) - c * i * share_p * a
            return x[2] - slope - 2 / _TURN * kernel_q, 0.5 * second + mixed / _TURN  # k = (q_x + q_p - v) / 2

        # Differences of angles and of what is left at their ends, each of the size of sqrt(q), where q' and the
        # covariance are of that of q.
        between = 2 * (c * c * rr * i + rho * s * root_x * root_p)
        turned = v * angle + q_x * (angle_x - angle) + q_p * (angle_p - angle) + (between - ends_x - ends_p)
        distance = 0.5 * v - turned / _TURN
        return self.near_or(DualPair(distance, slope, -0.5 * second, by_variance), v, gap, x, p)
