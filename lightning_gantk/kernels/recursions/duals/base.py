"""What an activation does to a pair of Gaussian pre-activations, in closed form: its dual kernel and derivatives.

Two jointly Gaussian numbers with variances ``q_x``, ``q_p`` and covariance k are described here by their squared
distance ``v = q_x + q_p - 2 k`` instead of k. Distances lose no digits between near neighbours, they pass through the
affine layers without the bias, and the cusp of a ReLU-type kernel sits at v = 0 exactly.

With phi the activation, ``q' = E phi(u)^2``, ``v' = E (phi(u_x) - phi(u_p))^2`` and ``slope = E phi'(u_x) phi'(u_p)``,
the factor of the NTK. By Price's theorem slope is also the derivative of v' in v.

Every formula stands here once. The native kernels are generated from it, and so are its derivatives in the other
sample, by exchanging the two.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Side = tuple[Array, ...]
"""What a dual needs of one side of the pairs, computed once per sample and not per pair."""

# v over the scale on which a smooth activation bends, below which v' is taken to second order. There a difference of
# variances and covariance leaves eps / NEAR digits, and the second order lacks NEAR: both are about the root of eps.
NEAR = {"float32": 3e-4, "float64": 1e-8}
# A difference of variances over their sum, below which it is taken to fourth order, which lacks CLOSE^4; others lack
# eps / CLOSE.
CLOSE = {"float32": 4e-2, "float64": 7e-4}


class DualPair(NamedTuple):
    """An activation at pairs; all arrays have the shape of the pairs.

    Attributes:
        distance: v'.
        slope: E phi' phi', which is dv'/dv.
        slope_v: d slope/dv.
        by_variance: ``(gap, x, p) -> (dv'/dq_x, d slope/dq_x)`` at fixed v and q_p. Called with the sides exchanged and
            the gap's sign turned, it gives the derivatives in q_p.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Linear
        >>> dual, one = Linear(), jnp.array(1.0)
        >>> pair = dual.pair(jnp.array(0.5), jnp.array(0.0), dual.side(one), dual.side(one))
        >>> float(pair.distance), float(pair.slope)  # what is linear keeps distances
        (0.5, 1.0)
    """

    distance: Array
    slope: Array
    slope_v: Array
    by_variance: Callable[[Array, Side, Side], tuple[Array, Array]]


class Dual(ABC):
    """The dual kernel of one activation. Its methods work on arrays of any shape, in float32 and float64.

    Attributes:
        bends: 1 over the squared distance of pre-activations across which a smooth activation bends.
        homogeneous: Whether ``phi(s u) = s phi(u)`` for s > 0.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions.duals import Dual, Rectifier
        >>> isinstance(Rectifier(0.0, 1.0), Dual), float(Rectifier(0.0, 1.0).variance(jnp.array(2.0)))
        (True, 1.0)
    """

    bends: float = math.inf
    homogeneous: bool = False

    @abstractmethod
    def variance(self, q: Array) -> Array:
        """``E phi(u)^2`` at variance q, differentiable by JAX."""

    @abstractmethod
    def side(self, q: Array) -> Side:
        """What ``pair`` needs of one side."""

    @abstractmethod
    def pair(self, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        """The activation at pairs; ``gap`` is sqrt(q_x) - sqrt(q_p)."""

    @abstractmethod
    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        """``q'_x - q'_p`` from the exact ``q_x - q_p``."""


class Smooth(Dual):
    """A dual without a cusp. A side starts with q, q', dq'/dq, d^2q'/dq^2, 1 / sqrt(q), bend, reach.

    To second order a near pair has ``v' = m v + bend (sqrt(q_x) - sqrt(q_p))^2``, with ``m = E phi'^2`` and ``bend =
    2 q m'(q)``: stretching u by a factor moves phi(u) by more or less than a step of the same length across u does.
    Pairs are near where v is small beside the sum of their reaches.

    Examples:
        >>> from lightning_gantk.kernels.recursions.duals import Erf, Rectifier, Smooth
        >>> isinstance(Erf(1.0, 1.0, 0.0), Smooth), isinstance(Rectifier(0.0, 1.0), Smooth)
        (True, False)
    """

    common = 7  # entries that all sides start with

    @abstractmethod
    def mean_square_slope(self, q: Array) -> Array:
        """``m(q) = E phi'(u)^2`` at variance q."""

    @abstractmethod
    def reach(self, q: Array) -> Array:
        """Half of the squared distance over which v' bends, at variance q."""

    def side(self, q: Array) -> Side:
        new, slope = with_slope(self.variance, q)
        second = with_slope(lambda q: with_slope(self.variance, q)[1], q)[1]
        second = jnp.where(jnp.isfinite(second), second, 0)  # 0 long before powers of q leave the range of numbers
        bend = 2 * q * with_slope(self.mean_square_slope, q)[1]
        return q, new, slope, second, root(q)[1], bend, self.reach(q)

    def difference(self, difference: Array, x: Side, p: Side) -> Array:
        """By the slopes at both ends where variances are close."""
        (q_x, new_x, slope_x, second_x, *_), (q_p, new_p, slope_p, second_p, *_) = x, p
        close = jnp.abs(difference) < CLOSE[difference.dtype.name] * (q_x + q_p)
        mean = 0.5 * (slope_x + slope_p) - difference * (second_x - second_p) / 12
        return jnp.where(close, mean * difference, new_x - new_p)

    @staticmethod
    def near_or(far: DualPair, v: Array, gap: Array, x: Side, p: Side) -> DualPair:
        """Near pairs to second order: there v' and dv'/dq are cancelled differences.

        The mean of both bends moves with q_x too, at a rate that is their difference over that of the variances: three
        parts of one's own bend to one of the other's are left.
        """
        (*_, bend_x, reach_x), (*_, bend_p, reach_p) = x[: Smooth.common], p[: Smooth.common]
        near = v < NEAR[v.dtype.name] * (reach_x + reach_p)
        distance = jnp.where(near, far.slope * v + 0.5 * (bend_x + bend_p) * gap * gap, far.distance)

        def by_variance(gap: Array, x: Side, p: Side) -> tuple[Array, Array]:
            (*_, inverse_x, bend_x, _), (*_, bend_p, _) = x[: Smooth.common], p[: Smooth.common]
            distance_q, slope_q = far.by_variance(gap, x, p)
            stretched = (0.75 * bend_x + 0.25 * bend_p) * (gap * inverse_x)
            return jnp.where(near, slope_q * v + stretched, distance_q), slope_q

        return far._replace(distance=distance, by_variance=by_variance)


def excess(v: Array, gap: Array) -> Array:
    """``sqrt(q_x q_p) - k``, never negative; where it is all rounding (u_x a multiple of u_p), 0: derivatives by v and
    by variances, which come from loops of their own, have to agree that it is none.
    """
    square = gap * gap
    return jnp.where(v - square > rounding(v) * square, 0.5 * (v - square), 0)


def rounding(v: Array) -> float:
    """Relative, of a sum of some squares."""
    return 32 * float(jnp.finfo(v.dtype).eps)


def root(q: Array) -> tuple[Array, Array]:
    """sqrt(q) and its inverse, with derivative 0 and inverse 0 at q = 0."""
    safe = jnp.where(q > 0, q, 1)
    sigma = jnp.where(q > 0, jnp.sqrt(safe), 0)
    return sigma, jnp.where(q > 0, 1 / jnp.sqrt(safe), 0)


def shifted(z: Array) -> Side:
    """1 / sqrt(1 + z), sqrt(z / (1 + z)), z / (1 + z), and the angle whose cosine the last is."""
    inverse = 1 / jnp.sqrt(1 + z)
    share = root(z)[0] * inverse
    return inverse, share, share * share, jnp.arctan2(jnp.sqrt(1 + 2 * z), z)


def shifted_excess(excess: Array, x: Side, p: Side) -> Array:
    """``1 - k / sqrt((1 + z_x) (1 + z_p))`` from ``sqrt(z_x z_p) - k``, without cancellation."""
    (inverse_x, root_x, *_), (inverse_p, root_p, share_p, *_) = x, p
    bottom = inverse_p * inverse_p + share_p * inverse_x * inverse_x
    return bottom / (1 + root_x * root_p) + excess * inverse_x * inverse_p


def with_slope(function: Callable[[Array], Array], q: Array) -> tuple[Array, Array]:
    """``function(q)`` and its derivative."""
    return jax.jvp(function, (q,), (jnp.ones_like(q),))
