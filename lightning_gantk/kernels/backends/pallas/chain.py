"""A recursion of images as a chain of stages: a window, and what each pixel goes through after it.

A convolution at infinite width is a mean over windows and then a Dense layer of each pixel. Maps of pairs are kept
before the Dense layer; what follows the last window runs in plain JAX, on the few pixels that are left. Differences of
variances need no maps: those of samples are known to twice the digits of float32, and lose nothing when subtracted.
"""

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, Serial
from lightning_gantk.kernels.recursions import Pairs, Recursion, Tape, is_pixelwise, marginals, pairs
from lightning_gantk.kernels.recursions.box import box_mean, padding
from lightning_gantk.kernels.recursions.state import Reader

Array = jax.Array
Maps = dict[str, Any]  # v and, where there is one, theta
Exact = tuple[Array, Array]  # a number as the sum of two: as near as float32 comes, and what that leaves out


@dataclass(frozen=True)
class Window:
    """Means over ``size`` x ``size`` pixels, ``stride`` apart, 'SAME' with zeros outside."""

    size: int
    stride: int

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(H, W) after it."""
        return math.ceil(shape[0] / self.stride), math.ceil(shape[1] / self.stride)

    @property
    def together(self) -> int:
        """Pixels of a row that stand in the same windows, one after the other."""
        return 1 if self.size % self.stride else self.stride

    def groups(self, width: int) -> int:
        """How many such groups begin in a row of pixels, or end there."""
        return (width - 1 + self.before((width, width))[1]) // self.together + 1

    def before(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Zeros above and to the left."""
        above, left = (
            padding(length, count, self.size, self.stride)
            for length, count in zip(shape, self.shape(shape), strict=True)
        )
        return above, left


@dataclass(frozen=True)
class Chain:
    """A kernel of images.

    Attributes:
        windows: Of each convolution.
        pixelwise: What pixels go through after each window but the last.
        tail: What comes after the last, as a recursion of its own.
    """

    windows: tuple[Window, ...]
    pixelwise: tuple[Serial, ...]
    tail: Recursion

    @property
    def ntk(self) -> bool:
        return self.tail.kind == "ntk"

    def marginals(self, q: Array) -> tuple[list[Tape], tuple[Array, Tape]]:
        """Tapes of ``pixelwise`` and of the tail, from mean squares ``(H, W, samples)``."""
        tapes: list[Tape] = []
        for window, layers in zip(self.windows, self.pixelwise, strict=False):
            tape: Tape = []
            q = marginals(layers, box_mean(q, window.size, window.stride), tape)
            tapes.append(tape)
        last = self.windows[-1]
        return tapes, self.tail.marginals(box_mean(q, last.size, last.stride))

    def exact(self, pixels: Array) -> list[Exact]:
        """Mean squares after each window ``(H, W, samples)``, from pixels ``(channels, H, W, samples)``. There are as
        many as samples, so that float64 costs nothing beside the pairs.
        """
        found: list[Exact] = []
        with jax.enable_x64(True):
            wide = jax.lax.convert_element_type(jax.lax.stop_gradient(pixels), jnp.float64)
            q = jnp.mean(wide * wide, 0)
            for window, layers in itertools.zip_longest(self.windows, self.pixelwise):
                q = box_mean(q, window.size, window.stride)
                near = q.astype(jnp.float32)
                found.append((near, (q - near.astype(jnp.float64)).astype(jnp.float32)))
                q = marginals(layers, q, []) if layers is not None else q
        return found

    def through(self, stage: int, maps: Maps, x: tuple[Tape, Exact], p: tuple[Tape, Exact]) -> Maps:
        """A block of one pixel ``(C, R)`` after ``pixelwise``, from both sides of it: ``(1, R)`` and ``(C, 1)``."""
        (x_tape, x_exact), (p_tape, p_exact) = x, p
        state = Pairs(maps["v"], maps.get("theta"), difference(x_exact, p_exact), self.ntk)
        state = pairs(self.pixelwise[stage], state, Reader(x_tape, None), Reader(p_tape, None))
        return {"v": state.v} if state.theta is None else {"v": state.v, "theta": state.theta}

    def moving(self, q: Array) -> list[list[bool]]:
        """Which arrays of the tapes of ``pixelwise`` have derivatives."""
        found: set[int] = set()

        def look(i: int, array: Array) -> Array:
            @jax.custom_jvp
            def same(array: Array) -> Array:
                return array

            @functools.partial(same.defjvp, symbolic_zeros=True)  # the rule is left out where nothing moves
            def _(primals: tuple, tangents: tuple) -> tuple:
                if not isinstance(tangents[0], SymbolicZero):
                    found.add(i)
                return primals[0], primals[0]

            return same(array)

        def run(q: Array) -> list[Array]:
            return [look(i, leaf) for i, leaf in enumerate(jax.tree.leaves(self.marginals(q)[0]))]

        jax.eval_shape(lambda q: jax.jvp(run, (q,), (q,)), q)
        tapes = jax.eval_shape(lambda q: self.marginals(q)[0], q)
        places = itertools.count()
        return [[next(places) in found for _ in jax.tree.leaves(tape)] for tape in tapes]


def difference(x: Exact, p: Exact) -> Array:
    """``q_x - q_p`` from arrays that broadcast."""
    near, rest = (a - b for a, b in zip(x, p, strict=True))
    return near + rest


def chain_of(recursion: Recursion) -> Chain | None:
    """The chain of a recursion, or None where its layers are no chain of convolutions and pixelwise layers."""
    layers = _flat(recursion.layer)
    end = next((i for i, layer in enumerate(layers) if isinstance(layer, Flatten)), None)
    if end is None or not isinstance(layers[0], Conv):
        return None
    windows: list[Window] = []
    parts: list[list[Layer]] = []
    for layer in layers[:end]:
        if isinstance(layer, Conv):
            if layer.kernel_size < layer.stride:
                return None
            windows.append(Window(layer.kernel_size, layer.stride))
            parts.append([Dense(layer.W_std, layer.b_std)])
        elif isinstance(layer, Dense) or is_pixelwise(layer):
            parts[-1].append(layer)
        else:
            return None
    *pixelwise, last = parts
    tail = Recursion(Serial((*last, *layers[end:])), recursion.kind)
    return Chain(tuple(windows), tuple(Serial(tuple(part)) for part in pixelwise), tail)


def _flat(layer: Layer) -> list[Layer]:
    if isinstance(layer, Serial):
        return [inner for part in layer.layers for inner in _flat(part)]
    return [layer]
