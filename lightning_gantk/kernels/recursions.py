"""Our own kernel recursions: an architecture's NTK or NNGP kernel as a function of distances, for one tile of pairs.

The state of a pair is the squared distance ``v = q_x + q_p - 2 k`` of its pre-activations (see ``duals``) and the NTK
``theta``; that of a sample is its variance q. Vectors have one number each, images one per pixel: below a Flatten top a
kernel needs the covariances of equal pixels alone. Arrays are ``(..., samples)`` for samples and ``(..., C, R)`` for
the pairs of C training points with R test points, ``...`` being ``(H, W)`` for images and nothing for vectors.

Two passes: ``marginals`` runs over samples and writes down what pairs will need of each layer (a tape); ``pairs`` runs
over pairs and reads the tapes of both sides. Layers known here are those of ``architectures.layers`` but
GlobalAveragePool; a layer of your own joins by registering both functions.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.architectures.activations import _SIGMOID_SCALE, Activation
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, LayerNorm, Pointwise, Serial, Sum
from lightning_gantk.kernels.duals import Dual, Erf, Gelu, Rectifier, Sin

Array = jax.Array
Tape = list[tuple[Array, ...]]

DUALS: dict[str, Callable[..., Dual]] = {
    "relu": lambda: Rectifier(0.0, 1.0),
    "leaky_relu": lambda alpha: Rectifier(alpha, 1.0),
    "abs": lambda: Rectifier(-1.0, 1.0),
    "identity": lambda: Rectifier(1.0, 1.0),
    "gelu": lambda: Gelu(),
    "erf": lambda a, b, c: Erf(a, b, c),
    "sigmoid_like": lambda: Erf(0.5, 1 / _SIGMOID_SCALE, 0.5),
    "sin": lambda a, b, c: Sin(a, b, c),
    "rbf": lambda gamma: Sin(math.sqrt(2), math.sqrt(2 * gamma), math.pi / 4),
}


@dataclass(frozen=True)
class Pairs:
    """The state of a tile of pairs.

    Attributes:
        v: Squared distance.
        theta: NTK; None at the input and for the NNGP kernel.
        difference: ``q_x - q_p`` from exact differences of the samples, or None where none was taken. It has no
            derivative of its own.
        ntk: Whether theta is wanted.
    """

    v: Array
    theta: Array | None
    difference: Array | None
    ntk: bool


class Reader:
    """Reads a tape from its start, shaped for one side of the pairs."""

    def __init__(self, tape: Tape, axis: int | None):
        self._entries, self._axis = iter(tape), axis

    def next(self) -> tuple[Array, ...]:
        """The entry of the next layer, with an axis of length 1 for the other side."""
        entry = next(self._entries)
        return entry if self._axis is None else tuple(jnp.expand_dims(part, self._axis) for part in entry)


def has_recursion(layer: Layer) -> bool:
    """Whether every layer of a description is known here."""
    inner = layer.layers if isinstance(layer, Serial) else layer.branches if isinstance(layer, Sum) else None
    if inner is not None:
        return all(has_recursion(part) for part in inner)
    if isinstance(layer, Pointwise):
        return layer.activation.name in DUALS
    return marginals.dispatch(type(layer)) is not marginals.dispatch(object)


def is_kinked(layer: Layer) -> bool:
    """Whether the kernel has a cusp at equal samples."""
    inner = layer.layers if isinstance(layer, Serial) else layer.branches if isinstance(layer, Sum) else ()
    return any(is_kinked(part) for part in inner) or (isinstance(layer, Pointwise) and dual_of(layer.activation).kinked)


def dual_of(activation: Activation) -> Dual:
    """The dual kernel of an activation."""
    return DUALS[activation.name](**dict(activation.parameters))


@functools.singledispatch
def marginals(layer: Layer, q: Array, tape: Tape) -> Array:
    """Variances after a layer from those before it; appends to ``tape`` what ``pairs`` reads."""
    raise NotImplementedError(f"No kernel recursion for {layer!r}.")


@functools.singledispatch
def pairs(layer: Layer, state: Pairs, x: Reader, p: Reader) -> Pairs:
    """The state of pairs after a layer; x is the side that has derivatives."""
    raise NotImplementedError(f"No kernel recursion for {layer!r}.")


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
    states = [pairs(branch, state, x, p) for branch in layer.branches]
    v = functools.reduce(jnp.add, [s.v for s in states])
    theta = functools.reduce(jnp.add, [s.theta for s in states]) if states[0].theta is not None else None
    difference = None if state.difference is None else functools.reduce(jnp.add, [s.difference for s in states])
    return Pairs(v, theta, difference, state.ntk)


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
    """The bias moves no distance; theta grows by the new covariance (q_x + q_p - v) / 2."""
    (q_x,), (q_p,) = x.next(), p.next()
    scale = layer.W_std**2
    v = scale * mean(state.v)
    theta = None
    if state.ntk:
        theta = 0.5 * (q_x + q_p - v)
        theta = theta if state.theta is None else theta + scale * mean(state.theta)
    difference = None if state.difference is None else scale * mean(state.difference)
    return Pairs(v, theta, difference, state.ntk)


@marginals.register
def _(layer: Pointwise, q: Array, tape: Tape) -> Array:
    dual = dual_of(layer.activation)
    tape.append((q, *jax.lax.stop_gradient(_sigma(q)), *jax.lax.stop_gradient(dual.side(q))))
    return dual.variance(q)


@pairs.register
def _(layer: Pointwise, state: Pairs, x: Reader, p: Reader) -> Pairs:
    (q_x, sigma_x, *side_x), (_, sigma_p, *side_p) = x.next(), p.next()
    dual, difference = dual_of(layer.activation), state.difference
    if layer.activation.name == "identity":
        return state
    if difference is None:
        gap = sigma_x - sigma_p
    else:
        total = sigma_x + sigma_p
        gap = jnp.where(total > 0, difference / jnp.where(total > 0, total, 1), 0)
        difference = dual.difference(difference, tuple(side_x), tuple(side_p))
    v, theta = _activate(dual, state.v, state.theta, q_x, gap, tuple(side_x), tuple(side_p))
    return replace(state, v=v, theta=theta, difference=difference)


def _sigma(q: Array) -> tuple[Array]:
    return (jnp.sqrt(q),)


def _activate(
    dual: Dual, v: Array, theta: Array | None, q_x: Array, gap: Array, x: tuple, p: tuple
) -> tuple[Array, Array | None]:
    """Distance and theta E phi' phi', with their derivatives in closed form."""
    gap, x, p = jax.lax.stop_gradient((gap, x, p))

    @jax.custom_jvp
    def distance_and_theta(v: Array, theta: Array | None, q_x: Array) -> tuple[Array, Array | None]:
        found = dual.expand(v, gap, x, p)
        return found.distance, None if theta is None else theta * found.slope

    @distance_and_theta.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple:
        (v, theta, _), (dot_v, dot_theta, dot_q) = primals, tangents
        found = dual.expand(v, gap, x, p)
        dot_distance = found.slope * dot_v + found.distance_q * dot_q
        if theta is None:
            return (found.distance, None), (dot_distance, None)
        dot_slope = found.slope_v * dot_v + found.slope_q * dot_q
        return (found.distance, theta * found.slope), (dot_distance, dot_theta * found.slope + theta * dot_slope)

    return distance_and_theta(v, theta, q_x)


@marginals.register
def _(layer: LayerNorm, q: Array, tape: Tape) -> Array:
    root = jnp.sqrt(q + _EPSILON)
    safe = jnp.where(q > 0, q, 1)
    sigma = jnp.where(q > 0, jnp.sqrt(safe), 0)
    tape.append((sigma, 1 / root, _EPSILON / (root * (root + sigma))))  # the last is 1 - sigma / root to every digit
    return q / (q + _EPSILON)


@pairs.register
def _(layer: LayerNorm, state: Pairs, x: Reader, p: Reader) -> Pairs:
    """2 (1 - cos), and what the epsilon of the normalisation adds where a variance is as small as that."""
    (sigma_x, inverse_x, lack_x), (sigma_p, inverse_p, lack_p) = x.next(), p.next()
    gap = sigma_x - sigma_p
    if state.difference is not None:
        total = sigma_x + sigma_p
        exact = jnp.where(total > 0, state.difference / jnp.where(total > 0, total, 1), 0)
        gap = gap + jax.lax.stop_gradient(exact - gap)
    v = jnp.maximum(state.v - gap * gap, 0) * inverse_x * inverse_p + (lack_x - lack_p) ** 2
    theta = None if state.theta is None else state.theta * inverse_x * inverse_p
    difference = None if state.difference is None else jnp.zeros_like(state.difference)
    return Pairs(v, theta, difference, state.ntk)


_EPSILON = 1e-12  # of neural-tangents' LayerNorm and of our torch one


@marginals.register
def _(layer: Flatten, q: Array, tape: Tape) -> Array:
    return q if q.ndim == 1 else q.mean((0, 1))


@pairs.register
def _(layer: Flatten, state: Pairs, x: Reader, p: Reader) -> Pairs:
    def mean(array: Array | None) -> Array | None:
        return None if array is None else array.mean((0, 1))

    if state.v.ndim <= 2:
        return state
    return Pairs(mean(state.v), mean(state.theta), mean(state.difference), state.ntk)


def box_mean(array: Array, size: int, stride: int) -> Array:
    """Means over ``size`` x ``size`` windows of the first two axes, 'SAME' with zeros outside, as matrix products."""
    for axis in (0, 1):
        matrix = jnp.asarray(_box(array.shape[axis], size, stride), array.dtype)
        array = jnp.moveaxis(jnp.tensordot(matrix, array, ((1,), (axis,)), precision="highest"), 0, axis)
    return array


@functools.cache
def _box(length: int, size: int, stride: int) -> np.ndarray:
    """One-dimensional window means ``(ceil(length / stride), length)``, padded as XLA's SAME is."""
    count = math.ceil(length / stride)
    before = max((count - 1) * stride + size - length, 0) // 2
    start = stride * np.arange(count)[:, None] - before
    position = np.arange(length)[None]
    return ((position >= start) & (position < start + size)) / size


@dataclass(frozen=True)
class Recursion:
    """The kernel of a list of layers.

    Attributes:
        layer: The description.
        kind: "ntk" or "nngp".
        images: Whether samples have pixels that the layers keep apart; otherwise they are flattened first.
    """

    layer: Layer
    kind: Literal["ntk", "nngp"]
    images: bool

    def marginals(self, q: Array) -> tuple[Array, Tape]:
        """Variances at the end, and the tape; ``q`` is the mean square of the sample(s' pixels), ``(..., samples)``."""
        tape: Tape = []
        return marginals(self.layer, q, tape), tape

    def kernel(
        self, v: Array, difference: Array | None, x: tuple[Array, Tape], p: tuple[Array, Tape], *, paired: bool = False
    ) -> Array:
        """Kernel values ``(C, R)`` from mean squared differences ``(..., C, R)``.

        Args:
            v: Mean of ``(x - p)^2`` over the coordinates (the channels of a pixel).
            difference: Mean of ``(x - p) (x + p)`` likewise, or None.
            x: What ``marginals`` gave for R test points; derivatives flow through it and through ``v``.
            p: The same for C training points.
            paired: The pairs are (x_i, p_i) and not all combinations; arrays have one axis of samples then.
        """
        (q_x, tape_x), (q_p, tape_p) = x, p
        readers = (Reader(tape_x, None), Reader(tape_p, None)) if paired else (Reader(tape_x, -2), Reader(tape_p, -1))
        state = pairs(self.layer, Pairs(v, None, difference, self.kind == "ntk"), *readers)
        if state.ntk:
            return jnp.zeros_like(state.v) if state.theta is None else state.theta
        return 0.5 * (q_x + q_p if paired else q_x[None] + q_p[:, None]) - 0.5 * state.v


def recursion_of(layers: tuple[Layer, ...], kind: Literal["ntk", "nngp"]) -> Recursion | None:
    """The recursion of an architecture's layers, or None where a layer is not known here."""
    layer = Serial(layers)
    if not has_recursion(layer):
        return None
    images = not isinstance(layers[0], Flatten)
    return Recursion(layer, kind, images)
