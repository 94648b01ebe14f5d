"""What an activation does to a pair of Gaussian pre-activations, in closed form: its dual kernel and derivatives.

Two jointly Gaussian numbers with variances ``q_x``, ``q_p`` and covariance k are described here by their squared
distance ``v = q_x + q_p - 2 k`` instead of k. Distances lose no digits between near neighbours, they pass through the
affine layers without the bias, and the cusp of a ReLU-type kernel sits at v = 0 exactly.

With phi the activation, ``q' = E phi(u)^2``, ``v' = E (phi(u_x) - phi(u_p))^2`` and ``slope = E phi'(u_x) phi'(u_p)``,
the factor of the NTK. By Price's theorem slope is also the derivative of v' in v.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Side = tuple[Array, ...]  # what a dual needs of one side of the pairs, computed once per sample and not per pair

# v / (q_x + q_p) below which v' of a smooth activation is taken to second order: a difference would cancel.
_NEAR = {"float32": 3e-4, "float64": 1e-8}


class Expansion(NamedTuple):
    """An activation at a pair, with derivatives at fixed ``q_p``; all arrays have the shape of the pairs.

    Attributes:
        distance: v'.
        slope: E phi' phi', which is dv'/dv.
        distance_q: dv'/dq_x at fixed v.
        slope_v: d slope/dv.
        slope_q: d slope/dq_x at fixed v.
    """

    distance: Array
    slope: Array
    distance_q: Array
    slope_v: Array
    slope_q: Array


class Dual(ABC):
    """The dual kernel of one activation."""

    kinked = False  # whether phi' jumps, so that the kernel has a cusp at v = 0

    @abstractmethod
    def variance(self, q: Array) -> Array:
        """``E phi(u)^2`` at variance q, differentiable by JAX."""

    @abstractmethod
    def side(self, q: Array) -> Side:
        """What ``expand`` needs of one side."""

    @abstractmethod
    def expand(self, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
        """The activation at pairs; ``gap`` is sqrt(q_x) - sqrt(q_p)."""

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        """``q'_x - q'_p`` from the exact ``q_x - q_p``; the first entries of a side must be q, q' and dq'/dq."""
        (q_x, new_x, slope_x, *_), (q_p, new_p, slope_p, *_) = x, p
        near = jnp.abs(difference) < 1e-2 * (q_x + q_p)
        return jnp.where(near, 0.5 * (slope_x + slope_p) * difference, new_x - new_p)


class _Smooth(Dual):
    """A dual without a cusp. A side starts with q, q', dq'/dq, the bend ``2 q m'(q)`` (m = E phi'^2), bend / sqrt(q).

    To second order a near pair has ``v' = m v + bend (sqrt(q_x) - sqrt(q_p))^2``: stretching u by a factor moves
    phi(u) by more or less than a step of the same length across u does.
    """

    @abstractmethod
    def mean_square_slope(self, q: Array) -> Array:
        """``m(q) = E phi'(u)^2`` at variance q."""

    def side(self, q: Array) -> Side:
        new, slope = _with_slope(self.variance, q)
        turn = 2 * _with_slope(self.mean_square_slope, q)[1]
        return q, new, slope, q * turn, jnp.sqrt(q) * turn


class Rectifier(Dual):
    """``a min(u, 0) + b max(u, 0)``: ReLU (0, 1), leaky ReLU (alpha, 1) and abs (-1, 1); Cho and Saul, 2009."""

    def __init__(self, a: float, b: float):
        self.mean, self.jump, self.kinked = (a * a + b * b) / 2, (b - a) ** 2, a != b

    def variance(self, q: Array) -> Array:
        return self.mean * q

    def side(self, q: Array) -> Side:
        sigma, inverse = _root(q)
        return sigma, inverse, (q == 0).astype(q.dtype)

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        return self.mean * difference

    def expand(self, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
        (sigma_x, inverse_x, zero_x), (sigma_p, inverse_p, zero_p) = x, p
        both = inverse_x * inverse_p
        # The angle between u and 0 counts as pi / 2, so that E phi' phi' takes phi'(0) = (a + b) / 2.
        e = jnp.maximum(jnp.maximum(_excess(v, gap) * both, zero_x), zero_p)
        angle, lune, sine, cosecant = _angle(e)
        jump = self.jump / math.pi
        distance = self.mean * v - jump * (sigma_x * sigma_p * lune)
        slope = self.mean - 0.5 * jump * angle
        distance_q = 0.5 * jump * (angle - sine * (sigma_p * inverse_x))
        steep = 0.25 * jump * cosecant * both
        return Expansion(distance, slope, distance_q, -steep, steep * ((gap + sigma_p * e) * inverse_x))


class Erf(_Smooth):
    """``a erf(b u) + c``; Williams, 1997."""

    def __init__(self, a: float, b: float, c: float):
        self.a2, self.c2, self.beta = a * a, c * c, 2 * b * b

    def variance(self, q: Array) -> Array:
        # asin(z / (1 + z)) = atan2(z, sqrt(1 + 2 z)), z = beta q: accurate at both ends
        z = self.beta * q
        return 2 / math.pi * self.a2 * jnp.arctan2(z, jnp.sqrt(1 + 2 * z)) + self.c2

    def mean_square_slope(self, q: Array) -> Array:
        return 2 * self.a2 * self.beta / math.pi / jnp.sqrt(1 + 2 * self.beta * q)

    def side(self, q: Array) -> Side:
        return (*super().side(q), *_shifted(self.beta * q))

    def expand(self, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
        (*_, inverse_x, _, _), (*_, inverse_p, _, _) = x, p
        e = _shifted_excess(self.beta * _excess(v, gap), x[5:], p[5:])
        angle, _, _, cosecant = _angle(e)
        cosine, both = 1 - e, inverse_x * inverse_p
        scale = self.a2 / math.pi
        slope = 2 * scale * self.beta * both * cosecant
        second = slope * self.beta * cosine * cosecant * cosecant * both
        kernel = 2 * scale * (math.pi / 2 - angle) + self.c2
        kernel_q = -scale * self.beta * cosine * cosecant * inverse_x * inverse_x
        mixed = -0.5 * slope * self.beta * cosecant * cosecant * inverse_x * inverse_x
        return _from_covariance(v, gap, x, p, kernel, slope, second, kernel_q, mixed)


class Sin(_Smooth):
    """``a sin(b u + c)``."""

    def __init__(self, a: float, b: float, c: float):
        self.a2, self.b2 = a * a, b * b
        self.odd = 0.0 if abs(math.cos(2 * c)) < 1e-12 else math.cos(2 * c)

    def variance(self, q: Array) -> Array:
        return 0.5 * self.a2 * (1 - self.odd * jnp.exp(-2 * self.b2 * q))

    def mean_square_slope(self, q: Array) -> Array:
        return 0.5 * self.a2 * self.b2 * (1 + self.odd * jnp.exp(-2 * self.b2 * q))

    def side(self, q: Array) -> Side:
        return (*super().side(q), jnp.exp(-2 * self.b2 * q))

    def expand(self, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
        (q_x, *_, end_x), (q_p, *_, end_p) = x, p
        v = jnp.maximum(v, 0)
        minus = -jnp.expm1(-0.5 * self.b2 * v)
        distance, slope = self.a2 * minus, 0.5 * self.a2 * self.b2 * (1 - minus)
        if not self.odd:
            zero = jnp.zeros_like(distance)
            return Expansion(distance, slope, zero, -0.5 * self.b2 * slope, zero)
        plus = self.odd * jnp.exp(self.b2 * (0.5 * v - (q_x + q_p)))
        half = 0.5 * self.a2 * self.b2
        far = Expansion(
            distance - self.a2 * (0.5 * self.odd * (end_x + end_p) - plus),
            slope + half * plus,
            self.a2 * self.b2 * (self.odd * end_x - plus),
            -0.5 * self.b2 * (slope - half * plus),
            -self.b2 * half * plus,
        )
        return _near_or(far, v, gap, x, p)


class Gelu(_Smooth):
    """``u Phi(u)``; Tsuchida et al., 2021, whose formulas are written here in variables that do not overflow."""

    def variance(self, q: Array) -> Array:
        root = jnp.sqrt(1 + 2 * q)
        return q * (0.25 + (q / (q + 1) / root + jnp.arctan2(q, root) / 2) / math.pi)

    def mean_square_slope(self, q: Array) -> Array:
        root = jnp.sqrt(1 + 2 * q)
        rest = 1 / (1 + 2 * q) + 2 / (1 + q)
        return 0.25 + (jnp.arctan2(q, root) + q / root * rest) / (2 * math.pi)

    def side(self, q: Array) -> Side:
        return (*super().side(q), *_shifted(q), jnp.sqrt(1 + q))

    def expand(self, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
        (q_x, *_, r_x, _, share_x, root_x), (q_p, *_, r_p, _, share_p, root_p) = x, p
        e = _shifted_excess(_excess(v, gap), x[5:], p[5:])
        angle, _, s, i = _angle(e)  # i = 1 / s
        c, rr, rho, a = 1 - e, r_x * r_p, share_x * share_p, r_x * r_x
        arc, k, i2 = math.pi / 2 - angle, 0.5 * (q_x + q_p - v), i * i
        lack = rr * rr + a + share_x * r_p * r_p  # 1 + (1 - q_x q_p) / ((1 + q_x) (1 + q_p))
        kernel = 0.25 * k + (c * c * rr * i + rho * s * root_x * root_p + k * arc) / (2 * math.pi)
        slope = 0.25 + (arc + c * i * ((i2 * rr) * rr + lack)) / (2 * math.pi)
        second = rr * i * (1 + (i2 * rr) * rr * (1 + 3 * c * c * i2) + lack * i2) / (2 * math.pi)
        kernel_q = -a * c * c * rr * i * (0.5 * i2 + 1) - 0.5 * c * c * i * r_x * root_p
        kernel_q += q_p * r_p * r_x * (s * a + 0.5 * share_x * i)
        mixed = -a * c * i * (0.5 + 1.5 * (i2 * rr) ** 2 + 0.5 * i2 * lack + lack - 1) - c * i * share_p * a
        turn = 2 * math.pi
        return _from_covariance(v, gap, x, p, kernel, slope, second, kernel_q / turn, mixed / turn)


def _from_covariance(
    v: Array, gap: Array, x: Side, p: Side, kernel: Array, slope: Array, second: Array, kernel_q: Array, mixed: Array
) -> Expansion:
    """The expansion in (v, q_x) from one in (k, q_x): k = (q_x + q_p - v) / 2."""
    distance, distance_q = x[1] + p[1] - 2 * kernel, x[2] - slope - 2 * kernel_q
    return _near_or(Expansion(distance, slope, distance_q, -0.5 * second, 0.5 * second + mixed), v, gap, x, p)


def _near_or(far: Expansion, v: Array, gap: Array, x: Side, p: Side) -> Expansion:
    """A smooth activation at near pairs to second order: there v' and dv'/dq are cancelled differences."""
    near = v < _NEAR[v.dtype.name] * (x[0] + p[0])
    distance = jnp.where(near, far.slope * v + 0.5 * (x[3] + p[3]) * gap * gap, far.distance)
    return far._replace(distance=distance, distance_q=jnp.where(near, x[4] * gap, far.distance_q))


def _excess(v: Array, gap: Array) -> Array:
    """``sqrt(q_x q_p) - k``, never negative; where it is all rounding (u_x a multiple of u_p), 0."""
    return 0.5 * jnp.maximum(v - gap * gap * (1 + 4 * float(jnp.finfo(v.dtype).eps)), 0)


def _root(q: Array) -> tuple[Array, Array]:
    """sqrt(q) and its inverse, with derivative 0 and inverse 0 at q = 0."""
    safe = jnp.where(q > 0, q, 1)
    sigma = jnp.where(q > 0, jnp.sqrt(safe), 0)
    return sigma, jnp.where(q > 0, 1 / jnp.sqrt(safe), 0)


def _shifted(z: Array) -> Side:
    """1 / sqrt(1 + z), sqrt(z / (1 + z)), z / (1 + z)."""
    inverse = 1 / jnp.sqrt(1 + z)
    root = _root(z)[0] * inverse
    return inverse, root, root * root


def _shifted_excess(excess: Array, x: Side, p: Side) -> Array:
    """``1 - k / sqrt((1 + z_x) (1 + z_p))`` from ``sqrt(z_x z_p) - k``, without cancellation."""
    (inverse_x, root_x, _, *_), (inverse_p, root_p, share_p, *_) = x, p
    bottom = inverse_p * inverse_p + share_p * inverse_x * inverse_x
    return bottom / (1 + root_x * root_p) + excess * inverse_x * inverse_p


def _with_slope(function: object, q: Array) -> tuple[Array, Array]:
    return jax.jvp(function, (q,), (jnp.ones_like(q),))


# arccos(c) / sqrt(1 - c^2) = 1 + e R(e) on e = 1 - c in [0, 1]; R by Chebyshev least squares, relative error 3e-8.
_R = (
    0.33333337,
    0.13332765,
    0.0572884324,
    0.0239754679,
    0.0183957566,
    -0.0128145542,
    0.029655125,
    -0.020842956,
    0.00847798499,
)


_TAYLOR = tuple(2**n * math.factorial(n) ** 2 * (n + 1) / math.factorial(2 * n + 1) / (2 * n + 3) for n in range(11))


def _horner(coefficients: tuple[float, ...], x: Array) -> Array:
    result = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def _angle(e: Array) -> tuple[Array, Array, Array, Array]:
    """Of the angle t with cos t = 1 - e: t, sin t - t cos t, sin t, 1 / sin t (0 where sin t is 0).

    All to a few units of rounding for every e in [0, 2]: near e = 0, where arccos(1 - e) would have no digits, too.
    """
    e = jnp.minimum(e, 2)  # more is rounding, where one norm dwarfs the other
    folded = jnp.minimum(e, 2 - e)
    square = folded * (2 - folded)
    some = square > 1e-30
    cosecant = jnp.where(some, jax.lax.rsqrt(jnp.where(some, square, 1)), 0)
    sine, cosine = square * cosecant, 1 - e
    if e.dtype == jnp.float64:
        angle = 2 * jnp.arctan2(jnp.sqrt(jnp.maximum(e, 0)), jnp.sqrt(jnp.maximum(2 - e, 0)))
        few = jnp.minimum(folded, 0.05)  # the same R by its power series, right to 1e-17 there
        near = sine * few * (1 - (1 - few) * _horner(_TAYLOR, few))
        return angle, jnp.where(e < 0.05, near, sine - angle * cosine), sine, cosecant
    series = _horner(_R, folded)
    angle = sine * (1 + folded * series)
    lune = sine * folded * (1 - (1 - folded) * series) + math.pi * jnp.maximum(-cosine, 0)
    return jnp.where(cosine < 0, math.pi - angle, angle), lune, sine, cosecant
