"""A recursion as a program for the native kernels: a list of steps between numbered states.

A side's tape is flattened in the order in which ``recursions.marginals`` writes it, with the final variance
at its end.
"""

import functools
import math
from dataclasses import dataclass, field, fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, Serial, Sum
from lightning_gantk.kernels.backends.native import pixelwise
from lightning_gantk.kernels.backends.native.layout import Op, Step
from lightning_gantk.kernels.recursions import Recursion, is_pixelwise


@dataclass
class Program:
    """A program in the making.

    Attributes:
        ntk: Whether the NTK is wanted.
        wide: Blocks of lanes that stand where pixels do, for vectors; 0 for images.
        rests: Whether vectors come with what rounding left out of their coordinates.
        states: (height, width) of each, and whether it has an NTK.
        steps: In the order of the layers.
        floats: Factors of the affine layers.
        units: Numbers on the tape of a training point so far.
    """

    ntk: bool
    wide: int
    rests: bool
    states: list[tuple[tuple[int, int], bool]]
    steps: list[Step] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)
    units: int = 0

    def attributes(self) -> dict[str, np.ndarray]:
        """The attributes of the FFI calls."""
        code = [self.ntk, self.rests, self.wide, self.units, len(self.states), len(self.steps)]
        code += [length for shape, _ in self.states for length in shape]
        code += [getattr(step, entry.name) for step in self.steps for entry in fields(Step)]
        return {"code": np.array(code, np.int64), "floats": np.array([*self.floats, 0.0], np.float32)}

    def add(self, op: Op, into: int, shape: tuple[int, int], **more: int) -> int:
        """Adds a step and the state that it makes; the number of that state."""
        self.states.append((shape, self.ntk))
        self.steps.append(Step(op, into, len(self.states) - 1, **more))
        return len(self.states) - 1

    def tape(self, entries: int, shape: tuple[int, int]) -> int:
        """The place of the next tape entries of a layer."""
        pixels = 1 if self.wide else shape[0] * shape[1]
        self.units += entries * pixels
        return self.units - entries * pixels

    def finish(self) -> None:
        """Notes which adjoints are fresh, in the order of the pass back."""
        written: set[int] = set()
        for step in reversed(self.steps):
            step.fresh = int(step.into not in written)
            written.add(step.into)
            if step.op == Op.ADD:
                step.fresh_two = int(step.two not in written)
                written.add(step.two)


def program(recursion: Recursion, shape: tuple[int, int] | None, *, wide: int, rests: bool = False) -> Program | None:
    """The program of a recursion, or None where the native kernels do not know a layer or the order of layers.

    Args:
        recursion: The recursion.
        shape: (H, W) of images, None for vectors.
        wide: Blocks of lanes, for vectors.
        rests: Whether vectors are complex: see ``directions``.
    """
    made = Program(recursion.kind == "ntk", 0 if shape else wide, rests, [(shape or (1, wide), False)])
    last = _encode(recursion.layer, made, 0)
    if last is None or last != len(made.states) - 1 or made.states[last][1] != made.ntk:
        return None
    if shape and made.states[last][0] != (1, 1):
        return None
    made.tape(1, made.states[last][0])
    made.finish()
    return made


@functools.singledispatch
def _encode(layer: Layer, made: Program, state: int) -> int | None:
    """Adds a layer after a state; the number of the state that it makes, or None for a layer without native form."""
    shape, has_ntk = made.states[state]
    code = pixelwise.code_of(layer, ntk=made.ntk) if is_pixelwise(layer) and has_ntk == made.ntk else None
    if code is None:
        return None
    tape = made.tape(code.entries, shape)
    return made.add(Op.PIXELWISE, state, shape, tape=tape, plain=code.plain, exact=code.exact)


@_encode.register
def _(layer: Serial, made: Program, state: int) -> int | None:
    last: int | None = state
    for inner in layer.layers:
        last = None if last is None else _encode(inner, made, last)
    return last


@_encode.register
def _(layer: Sum, made: Program, state: int) -> int | None:
    ends = [_encode(branch, made, state) for branch in layer.branches]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends) or len({made.states[end] for end in known}) > 1:
        return None
    total, *rest = known
    for end in rest:
        total = made.add(Op.ADD, total, made.states[total][0], two=end)
    return total if rest else None


@_encode.register
def _(layer: Dense, made: Program, state: int) -> int | None:
    return _affine(layer, made, state, made.states[state][0], size=1, stride=1)


@_encode.register
def _(layer: Conv, made: Program, state: int) -> int | None:
    if made.wide:
        return None
    height, width = (math.ceil(length / layer.stride) for length in made.states[state][0])
    return _affine(layer, made, state, (height, width), size=layer.kernel_size, stride=layer.stride)


def _affine(layer: Dense | Conv, made: Program, state: int, shape: tuple[int, int], **window: int) -> int:
    made.floats.append(layer.W_std**2)
    first = int(not made.states[state][1])
    tape, factor = made.tape(1, shape), len(made.floats) - 1
    return made.add(Op.AFFINE, state, shape, tape=tape, factor=factor, first=first, **window)


@_encode.register
def _(layer: Flatten, made: Program, state: int) -> int | None:
    if made.wide:
        return state
    return made.add(Op.MEAN, state, (1, 1)) if made.states[state][1] == made.ntk else None


def tape_of_x(side: tuple[jax.Array, Any]) -> jax.Array:
    """What ``Recursion.marginals`` gave, as ``(units, N)``."""
    return jnp.concatenate(_entries(side))


def tape_of_p(side: tuple[jax.Array, Any]) -> jax.Array:
    """The same as ``(N, units)``. XLA takes three times as long where the whole is turned, and not each part."""
    return jnp.concatenate([entry.T for entry in _entries(side)], 1)


def _entries(side: tuple[jax.Array, Any]) -> list[jax.Array]:
    q, tape = side
    parts = [part for entry in tape for part in entry] + [q]
    return [part.reshape(-1, part.shape[-1]) for part in parts]
