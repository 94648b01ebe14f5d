"""Kernels in high precision: the textbook recursions in covariances, one pair at a time, in python-flint's numbers.

Covariances lose half their digits between near neighbours, which 320 bits can afford: no formula is shared with the
package, which works in distances. Balls are cut to their midpoints, as the radius of arccos near 1 is worth nothing.

Sources: Cho and Saul, 2009 (rectifiers); Williams, 1996 (erf); Rahimi and Recht, 2007 (sin); Jacot et al., 2018 (the
NTK's recursion); Arora et al., 2019 (convolutions). Gelu follows from Stein's lemma.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from flint import arb, ctx

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, LayerNorm, Pointwise, Serial, Sum
from lightning_gantk.kernels import RBF, EnergyDistance, InverseMultiquadric, Laplace
from lightning_gantk.kernels.architecture import ArchitectureKernel

ctx.prec = 320
Sample = Sequence[Sequence[arb]]  # pixels of channels; a vector is one pixel
PI = arb.pi().mid()


@dataclass(frozen=True)
class Pair:
    """Covariance, variances and NTK of each pixel, and how many pixels the picture is high and wide."""

    k: list[arb]
    x: list[arb]
    p: list[arb]
    theta: list[arb] | None
    size: tuple[int, int]


def exact_kernel(kernel: object, x: Sample, p: Sample, size: tuple[int, int]) -> arb:
    """``k(x, p)`` of one of the package's kernels."""
    if isinstance(kernel, ArchitectureKernel):
        layers = kernel.architecture.layers()
        if isinstance(layers[0], Flatten):
            x, p, size = [_flat(x)], [_flat(p)], (1, 1)
        pair = Pair(_inner(x, p), _inner(x, x), _inner(p, p), None, size)
        theta = apply(Serial(layers), pair).theta
        assert theta is not None  # the last layer is a Dense
        return theta[0]
    flat_x, flat_p = _flat(x), _flat(p)
    squared = sum(((a - b) * (a - b) for a, b in zip(flat_x, flat_p, strict=True)), arb(0)).mid()
    mean = squared / len(flat_x)
    if isinstance(kernel, RBF):
        return (-kernel.gamma * mean).exp().mid()
    if isinstance(kernel, InverseMultiquadric):
        return ((1 + kernel.gamma * mean) ** arb(-kernel.power)).mid()
    if isinstance(kernel, Laplace):
        return (-kernel.gamma * mean.sqrt()).exp().mid()
    if isinstance(kernel, EnergyDistance):
        norms = [sum((a * a for a in side), arb(0)).sqrt() for side in (flat_x, flat_p)]
        return (norms[0] + norms[1] - squared.sqrt()).mid()
    raise NotImplementedError(f"No kernel in high precision for {kernel!r}.")


@functools.singledispatch
def apply(layer: Layer, pair: Pair) -> Pair:
    """The pair after a layer."""
    raise NotImplementedError(f"No recursion in high precision for {layer!r}.")


@apply.register
def _(layer: Serial, pair: Pair) -> Pair:
    return functools.reduce(lambda state, inner: apply(inner, state), layer.layers, pair)


@apply.register
def _(layer: Sum, pair: Pair) -> Pair:
    def add(columns: tuple) -> list[arb] | None:
        return None if columns[0] is None else [sum(values, arb(0)).mid() for values in zip(*columns, strict=True)]

    branches = [apply(branch, pair) for branch in layer.branches]
    names = ("k", "x", "p", "theta")
    return replace(branches[0], **{name: add(tuple(getattr(b, name) for b in branches)) for name in names})


@apply.register
def _(layer: Dense, pair: Pair) -> Pair:
    return _affine(layer, pair)


@apply.register
def _(layer: Conv, pair: Pair) -> Pair:
    height, width = pair.size
    size = math.ceil(height / layer.stride), math.ceil(width / layer.stride)
    rows, columns = (_windows(*pair_of, layer) for pair_of in zip(pair.size, size, strict=True))

    def mean(values: list[arb]) -> list[arb]:
        area = layer.kernel_size**2
        return [
            (sum((values[i * width + j] for i in r for j in c), arb(0)) / area).mid() for r in rows for c in columns
        ]

    theta = None if pair.theta is None else mean(pair.theta)
    return _affine(layer, Pair(mean(pair.k), mean(pair.x), mean(pair.p), theta, size))


@apply.register
def _(layer: Flatten, pair: Pair) -> Pair:
    def mean(values: list[arb]) -> list[arb]:
        return [(sum(values, arb(0)) / len(values)).mid()]

    theta = None if pair.theta is None else mean(pair.theta)
    return Pair(mean(pair.k), mean(pair.x), mean(pair.p), theta, (1, 1))


@apply.register
def _(layer: LayerNorm, pair: Pair) -> Pair:
    epsilon = arb("1e-12")
    roots = [((x + epsilon) * (p + epsilon)).sqrt() for x, p in zip(pair.x, pair.p, strict=True)]

    def over(values: list[arb] | None) -> list[arb] | None:
        return None if values is None else [(v / r).mid() for v, r in zip(values, roots, strict=True)]

    x, p = ([(q / (q + epsilon)).mid() for q in side] for side in (pair.x, pair.p))
    return replace(pair, k=over(pair.k), x=x, p=p, theta=over(pair.theta))


@apply.register
def _(layer: Pointwise, pair: Pair) -> Pair:
    name, parameters = layer.activation.name, dict(layer.activation.parameters)
    dual = functools.partial(_DUALS[name], **{key: arb(value) for key, value in parameters.items()})
    k, slope = zip(*(dual(*pixel) for pixel in zip(pair.k, pair.x, pair.p, strict=True)), strict=True)
    x, p = ([dual(q, q, q)[0] for q in side] for side in (pair.x, pair.p))
    theta = None if pair.theta is None else [(t * s).mid() for t, s in zip(pair.theta, slope, strict=True)]
    return replace(pair, k=[v.mid() for v in k], x=[v.mid() for v in x], p=[v.mid() for v in p], theta=theta)


def _affine(layer: Dense | Conv, pair: Pair) -> Pair:
    weight, bias = arb(layer.W_std) ** 2, arb(layer.b_std or 0) ** 2

    def move(values: list[arb]) -> list[arb]:
        return [(weight * v + bias).mid() for v in values]

    k = move(pair.k)
    theta = k if pair.theta is None else [(a + weight * t).mid() for a, t in zip(k, pair.theta, strict=True)]
    return Pair(k, move(pair.x), move(pair.p), theta, pair.size)


def _rectifier(k: arb, x: arb, p: arb, *, alpha: arb) -> tuple[arb, arb]:
    """Phi(u) = u on the positive side and alpha u on the other: a linear part and one of |u|."""
    linear, even = ((1 + alpha) / 2) ** 2, ((1 - alpha) / 2) ** 2
    size = (x * p).mid().sqrt().mid()
    cosine = _clamp((k / size).mid()) if size != 0 else arb(0)
    angle, sine = cosine.acos().mid(), (1 - cosine * cosine).mid().sqrt().mid()
    kernel = linear * k + even * 2 / PI * size * (sine + (PI / 2 - angle) * cosine)
    return kernel, linear + even * (1 - 2 * angle / PI)


def _erf(k: arb, x: arb, p: arb, *, a: arb, b: arb, c: arb) -> tuple[arb, arb]:
    square = 2 * b * b
    product = ((1 + square * x) * (1 + square * p)).mid()
    sine = _clamp((square * k / product.sqrt()).mid())
    kernel = a * a * 2 / PI * sine.asin() + c * c
    return kernel, a * a * 2 * square / PI / (product - (square * k) ** 2).mid().sqrt()


def _sin(k: arb, x: arb, p: arb, *, a: arb, b: arb, c: arb) -> tuple[arb, arb]:
    minus, plus = ((-b * b * (x + p + sign * 2 * k) / 2).exp() for sign in (-1, 1))
    turned = (2 * c).cos() * plus
    return a * a / 2 * (minus - turned), a * a * b * b / 2 * (minus + turned)


def _gelu(k: arb, x: arb, p: arb) -> tuple[arb, arb]:
    product = ((1 + x) * (1 + p)).mid()
    both = arb(1) / 4 + _clamp((k / product.sqrt()).mid()).asin() / (2 * PI)  # E Phi(u) Phi(v)
    determinant = (product - k * k).mid()
    densities = 1 / (2 * PI * determinant.sqrt())  # E n(u) n(v)
    kernel = densities * (x * (p - k * k / (1 + x)) + k * k / (1 + p)) + k * both
    return kernel, both + densities * k * (1 / determinant + 1 / (1 + x) + 1 / (1 + p))


_DUALS = {
    "relu": functools.partial(_rectifier, alpha=arb(0)),
    "leaky_relu": _rectifier,
    "abs": functools.partial(_rectifier, alpha=arb(-1)),
    "erf": _erf,
    "sin": _sin,
    "gelu": _gelu,
}


def _flat(x: Sample) -> list[arb]:
    return [value for pixel in x for value in pixel]


def _clamp(value: arb) -> arb:
    return arb(1) if value > 1 else arb(-1) if value < -1 else value


def _inner(x: Sample, p: Sample) -> list[arb]:
    return [(sum((a * b for a, b in zip(u, v, strict=True)), arb(0)) / len(u)).mid() for u, v in zip(x, p, strict=True)]


def _windows(length: int, count: int, layer: Conv) -> list[range]:
    """Rows (columns) below each output of a convolution with SAME padding."""
    before = max((count - 1) * layer.stride + layer.kernel_size - length, 0) // 2
    starts = [layer.stride * i - before for i in range(count)]
    return [range(max(s, 0), min(s + layer.kernel_size, length)) for s in starts]


def sample(values: np.ndarray) -> list[list[arb]]:
    """A vector ``(d,)`` or a picture ``(C, H, W)``, exactly."""
    pixels = values.reshape(1, -1) if values.ndim == 1 else values.reshape(len(values), -1).T
    return [[arb(float(v)) for v in pixel] for pixel in pixels]
