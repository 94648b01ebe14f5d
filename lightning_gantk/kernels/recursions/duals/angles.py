"""Angles between pre-activations, right to a few units of rounding however near these are."""

import math

import jax
import jax.numpy as jnp

Array = jax.Array

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


def angle_of(e: Array, opposite: float = 0.0) -> tuple[Array, Array, Array, Array]:
    """Of the angle t with cos t = 1 - e: t, sin t - t cos t, sin t, 1 / sin t (0 where sin t is 0).

    All to a few units of rounding for every e in [0, 2]: near e = 0, where arccos(1 - e) would have no digits, too.

    Args:
        e: 1 - cos t.
        opposite: Where e is as near as that to 2, t is taken for pi.
    """
    e = jnp.minimum(e, 2)  # more is rounding, where one norm dwarfs the other
    left = 2 - e
    folded = jnp.minimum(e, left)
    square = folded * (2 - folded)
    some = square > 1e-30
    if opposite:
        some &= left >= opposite
    cosecant = jnp.where(some, jax.lax.rsqrt(jnp.where(some, square, 1)), 0)
    sine, cosine = square * cosecant, 1 - e
    if e.dtype == jnp.float64:
        angle = 2 * jnp.arctan2(jnp.sqrt(jnp.maximum(e, 0)), jnp.sqrt(jnp.maximum(2 - e, 0)))
        few = jnp.minimum(folded, 0.05)  # the same R by its power series, right to 1e-17 there
        near = sine * few * (1 - (1 - few) * _horner(_TAYLOR, few))
        return angle, jnp.where(e < 0.05, near, sine - angle * cosine), sine, cosecant
    series = _horner(_R, folded)
    angle = sine * (1 + folded * series)
    lune = sine * folded * (1 - jnp.abs(cosine) * series) + math.pi * jnp.maximum(-cosine, 0)
    return jnp.where(cosine < 0, math.pi - angle, angle), lune, sine, cosecant


def _horner(coefficients: tuple[float, ...], x: Array) -> Array:
    result = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result
