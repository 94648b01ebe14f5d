"""The layers of ``architectures.layers`` at infinite width, but for GlobalAveragePool."""

import functools
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, LayerNorm, Pointwise, Serial, Sum
from lightning_gantk.kernels.recursions.box import box_mean
from lightning_gantk.kernels.recursions.duals import Dual, Side, dual_of
from lightning_gantk.kernels.recursions.rules import marginals, pairs, pixelwise
from lightning_gantk.kernels.recursions.state import Entry, Pairs, Reader, Tape

Array = jax.Array
_EPSILON = 1e-12  # of neural-tangents' LayerNorm and of our torch one


@marginals.register
def _(layer: Serial, q: Array, tape: Tape) -> Array:
    for inner in layer.layers:
        q = marginals(inner, q, tape)
    return q


@pairs.register
def _(layer: Serial, state: Pairs, x: Reader, p: Reader) -> Pairs:
    for inner in layer.layers:
        state = pairs(inner, state, x, p)
    return state


@marginals.register
def _(layer: Sum, q: Array, tape: Tape) -> Array:
    return functools.reduce(jnp.add, [marginals(branch, q, tape) for branch in layer.branches])


@pairs.register
def _(layer: Sum, state: Pairs, x: Reader, p: Reader) -> Pairs:
    return functools.reduce(_added, [pairs(branch, state, x, p) for branch in layer.branches])


def _added(one: Pairs, two: Pairs) -> Pairs:
    def of(a: Array | None, b: Array | None) -> Array | None:
        return None if a is None or b is None else a + b

    return Pairs(one.v + two.v, of(one.theta, two.theta), of(one.difference, two.difference), one.ntk)


@marginals.register
def _(layer: Dense, q: Array, tape: Tape) -> Array:
    return _affine_marginals(layer, q, tape)


@pairs.register
def _(layer: Dense, state: Pairs, x: Reader, p: Reader) -> Pairs:
    return _affine_pairs(layer, lambda array: array, state, x, p)


@marginals.register
def _(layer: Conv, q: Array, tape: Tape) -> Array:
    return _affine_marginals(layer, box_mean(q, layer.kernel_size, layer.stride), tape)


@pairs.register
def _(layer: Conv, state: Pairs, x: Reader, p: Reader) -> Pairs:
    return _affine_pairs(layer, lambda array: box_mean(array, layer.kernel_size, layer.stride), state, x, p)


def _affine_marginals(layer: Dense | Conv, q: Array, tape: Tape) -> Array:
    q = layer.W_std**2 * q + (layer.b_std or 0) ** 2
    tape.append((q,))
    return q


def _affine_pairs(layer: Dense | Conv, mean: Callable[[Array], Array], state: Pairs, x: Reader, p: Reader) -> Pairs:
    """The bias moves no distance; theta grows by the new covariance (q_x + q_p - v) / 2.

    What has no variance has no covariance with anything: where a distance is a little off, it would be some rounding of
    the other's variance, which counts where the dual weight of a sample of zeros grows with time. Derivatives stay: the
    covariance of x with p grows as p when x leaves 0.
    """
    (q_x,), (q_p,) = x.next(), p.next()
    scale = layer.W_std**2
    v = scale * mean(state.v)
    theta = None
    if state.ntk:
        theta = 0.5 * (q_x + q_p - v)
        if not layer.b_std:  # a bias is variance
            theta -= jax.lax.stop_gradient(jnp.where(jnp.minimum(q_x, q_p) == 0, theta, 0))
        theta = theta if state.theta is None else theta + scale * mean(state.theta)
    difference = None if state.difference is None else scale * mean(state.difference)
    return Pairs(v, theta, difference, state.ntk)


@marginals.register
def _(layer: Pointwise, q: Array, tape: Tape) -> Array:
    dual = dual_of(layer.activation)
    tape.append((q, *jax.lax.stop_gradient((jnp.sqrt(q), *dual.side(q)))))
    return dual.variance(q)


@pixelwise.register
def _(layer: Pointwise, state: Pairs, x: Entry, p: Entry) -> Pairs:
    (q_x, sigma_x, *side_x), (q_p, sigma_p, *side_p) = x, p
    dual, x, p = dual_of(layer.activation), tuple(side_x), tuple(side_p)
    v, theta = _activate(dual, state.v, state.theta, q_x, q_p, state.gap(sigma_x, sigma_p), x, p)
    difference = None if state.difference is None else dual.difference(state.difference, x, p)
    return replace(state, v=v, theta=theta, difference=difference)


def _activate(
    dual: Dual, v: Array, theta: Array | None, q_x: Array, q_p: Array, gap: Array, x: Side, p: Side
) -> tuple[Array, Array | None]:
    """Distance and theta E phi' phi', with their derivatives in closed form."""
    gap, x, p = jax.lax.stop_gradient((gap, x, p))

    @jax.custom_jvp
    def distance_and_theta(v: Array, theta: Array | None, q_x: Array, q_p: Array) -> tuple[Array, Array | None]:
        pair = dual.pair(v, gap, x, p)
        return pair.distance, None if theta is None else theta * pair.slope

    @functools.partial(distance_and_theta.defjvp, symbolic_zeros=True)
    def _(primals: tuple, tangents: tuple) -> tuple:
        (v, theta, *_), (dot_v, dot_theta, dot_x, dot_p) = primals, tangents
        pair = dual.pair(v, gap, x, p)
        distance, slope = _dot(pair.slope, dot_v), _dot(pair.slope_v, dot_v)
        for dot, sides in ((dot_x, (gap, x, p)), (dot_p, (-gap, p, x))):  # the derivatives in p are those in x, turned
            if not isinstance(dot, SymbolicZero):
                distance_q, slope_q = pair.by_variance(*sides)
                distance, slope = distance + distance_q * dot, slope + slope_q * dot
        if theta is None:
            return (pair.distance, None), (distance, None)
        return (pair.distance, theta * pair.slope), (distance, _dot(pair.slope, dot_theta) + theta * slope)

    return distance_and_theta(v, theta, q_x, q_p)


def _dot(slope: Array, tangent: Array | SymbolicZero) -> Array:
    return jnp.zeros_like(slope) if isinstance(tangent, SymbolicZero) else slope * tangent


@marginals.register
def _(layer: LayerNorm, q: Array, tape: Tape) -> Array:
    root = jnp.sqrt(q + _EPSILON)
    some = q > 0
    sigma = jnp.where(some, jnp.sqrt(jnp.where(some, q, 1)), 0)
    # A sample without variance has no covariance with any other, nor an NTK: 0 times what rounding makes of them.
    inverse = jnp.where(some, 1 / root, 0)
    tape.append((sigma, inverse, _EPSILON / (root * (root + sigma))))  # the last is 1 - sigma / root to every digit
    return q / (q + _EPSILON)


@pixelwise.register
def _(layer: LayerNorm, state: Pairs, x: Entry, p: Entry) -> Pairs:
    """2 (1 - cos), and what the epsilon of the normalisation adds where a variance is as small as that."""
    (sigma_x, inverse_x, lack_x), (sigma_p, inverse_p, lack_p) = x, p
    gap = sigma_x - sigma_p
    gap = gap + jax.lax.stop_gradient(state.gap(sigma_x, sigma_p) - gap)
    both = inverse_x * inverse_p
    v = jnp.maximum(state.v - gap * gap, 0) * both + (lack_x - lack_p) ** 2
    theta = None if state.theta is None else state.theta * both
    difference = state.difference
    if (
        difference is not None
    ):  # of two q / (q + epsilon) = (1 - lack)^2; what they lack of 1 is epsilon / (q + epsilon)
        difference = difference * (lack_x * (2 - lack_x)) * (lack_p * (2 - lack_p) / _EPSILON)
    return replace(state, v=v, theta=theta, difference=difference)


@marginals.register
def _(layer: Flatten, q: Array, tape: Tape) -> Array:
    return q if q.ndim == 1 else q.mean((0, 1))


@pairs.register
def _(layer: Flatten, state: Pairs, x: Reader, p: Reader) -> Pairs:
    def mean(array: Array | None) -> Array | None:
        return None if array is None else array.mean((0, 1))

    if state.v.ndim <= 2:
        return state
    return Pairs(state.v.mean((0, 1)), mean(state.theta), mean(state.difference), state.ntk)
