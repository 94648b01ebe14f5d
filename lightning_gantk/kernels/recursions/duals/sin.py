"""The sine."""

import math

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.recursions.duals.base import Dual, DualPair, Side, with_slope

Array = jax.Array


class Sin(Dual):
    """``a sin(b u + c)``.

    With ``d = b^2 v / 2`` and ``s = b^2 (q_x + q_p)`` the distance is ``a^2 (1 - e^-d)`` from the differences of the
    two samples, and from their sums ``a^2 cos(2 c) e^-s ((e^d - 1) - (cosh(b^2 (q_x - q_p)) - 1))``. Every difference
    is taken before the exponentials, where it loses no digits.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Sin
        >>> round(float(Sin(1.0, 1.0, 0.0).variance(jnp.array(100.0))), 4)  # the mean of sin^2 over many turns
        0.5
    """

    def __init__(self, a: float, b: float, c: float):
        self.a2, self.b2 = a * a, b * b
        self.bends = self.b2
        self.odd = 0.0 if abs(math.cos(2 * c)) < 1e-12 else math.cos(2 * c)

    def variance(self, q: Array) -> Array:
        return 0.5 * self.a2 * ((1 - self.odd) - self.odd * jnp.expm1(-2 * self.b2 * q))

    def side(self, q: Array) -> Side:
        new, slope = with_slope(self.variance, q)
        return q, new, slope, jnp.sqrt(q), jnp.exp(-2 * self.b2 * q)

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        end_p = p[4]
        turn = -2 * self.b2 * difference
        close = jnp.abs(turn) < 1
        change = jnp.where(close, end_p * jnp.expm1(jnp.where(close, turn, 0)), x[4] - end_p)
        return -0.5 * self.a2 * self.odd * change

    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        (q_x, _, _, sigma_x, end_x), (q_p, _, _, sigma_p, end_p) = x, p
        half, d = 0.5 * self.a2 * self.b2, 0.5 * self.b2 * jnp.maximum(v, 0)
        minus = -jnp.expm1(-d)
        distance, slope = self.a2 * minus, half * (1 - minus)
        if not self.odd:
            zero = jnp.zeros_like(v)
            return DualPair(distance, slope, -0.5 * self.b2 * slope, lambda gap, x, p: (zero, zero))
        s = self.b2 * (q_x + q_p)
        end, plus = jnp.exp(-s), jnp.exp(d - s)
        rise = jnp.where(d < 1, end * jnp.expm1(jnp.minimum(d, 1)), plus - end)
        turn = self.b2 * gap * (sigma_x + sigma_p)
        close = jnp.abs(turn) < 1
        stretch = jnp.expm1(0.5 * jnp.where(close, turn, 0))
        twice_sinh = stretch + stretch / (1 + stretch)
        spread = jnp.where(close, 0.5 * end * twice_sinh * twice_sinh, 0.5 * (end_x + end_p) - end)

        def by_variance(gap: Array, x: Side, p: Side) -> tuple[Array, Array]:
            turn = self.b2 * gap * (x[3] + p[3])
            lead = jnp.where(close, end * jnp.expm1(jnp.where(close, -turn, 0)), x[4] - end)
            return 2 * half * self.odd * (lead - rise), -self.b2 * half * self.odd * plus

        even = half * self.odd * plus
        return DualPair(
            distance + self.a2 * self.odd * (rise - spread),
            slope + even,
            -0.5 * self.b2 * (slope - even),
            by_variance,
        )
