"""A recursion as a program for the native kernels: a list of layers between numbered states.

The encoding is that of ``native/pairs.cc``. A side's tape is flattened in the order in which ``recursions.marginals``
writes it, with the final variance at its end.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, LayerNorm, Pointwise, Serial, Sum
from lightning_gantk.kernels.duals import Dual, Erf, Gelu, Rectifier, Sin
from lightning_gantk.kernels.recursions import Recursion, dual_of

_AFFINE, _ACTIVATE, _NORM, _MEAN, _ADD = range(5)
_SIDE_LENGTH = {Rectifier: 3, Erf: 8, Sin: 6, Gelu: 9}
_KIND = {Rectifier: 0, Erf: 1, Sin: 2, Gelu: 3}


@dataclass
class Program:
    """A program in the making.

    Attributes:
        ntk: Whether the NTK is wanted.
        exact: Whether states carry exact differences of variances.
        wide: Blocks of lanes that stand where pixels do, for vectors; 0 for images.
    """

    ntk: bool
    exact: bool
    wide: int
    states: list[tuple[int, int]] = field(default_factory=list)
    steps: list[dict[str, int]] = field(default_factory=list)
    constants: list[float] = field(default_factory=list)
    units: int = 0

    def attributes(self) -> dict[str, np.ndarray]:
        """The attributes of the FFI calls."""
        written: set[int] = set()
        for step in reversed(self.steps):  # the order of the pass back
            step["fresh"] = int(step["in"] not in written)
            written.add(step["in"])
            if step["op"] == _ADD:
                step["fresh2"] = int(step["two"] not in written)
                written.add(step["two"])
        names = ("op", "in", "two", "out", "size", "stride", "tape", "constants", "fresh", "fresh2")
        code = [self.ntk, self.exact, self.wide, self.units, len(self.states), len(self.steps)]
        code += [n for state in self.states for n in state]
        code += [step.get(name, 0) for step in self.steps for name in names]
        return {"code": np.array(code, np.int64), "floats": np.array([*self.constants, 0.0], np.float32)}

    def add(self, op: int, into: int, shape: tuple[int, int], **more: int) -> int:
        """Adds a step and the state that it makes; the number of that state."""
        self.states.append(shape)
        self.steps.append({"op": op, "in": into, "out": len(self.states) - 1, **more})
        return len(self.states) - 1

    def constant(self, *values: float) -> int:
        """The place of constants."""
        self.constants.extend(values)
        return len(self.constants) - len(values)

    def tape(self, entries: int, shape: tuple[int, int]) -> int:
        """The place of the next tape entries of a layer."""
        pixels = 1 if self.wide else shape[0] * shape[1]
        self.units += entries * pixels
        return self.units - entries * pixels


def program(recursion: Recursion, shape: tuple[int, int] | None, *, exact: bool, wide: int) -> Program | None:
    """The program of a recursion, or None where the native kernels do not know a layer or the order of layers.

    Args:
        recursion: The recursion.
        shape: (H, W) of images, None for vectors.
        exact: Whether states carry exact differences of variances.
        wide: Blocks of lanes, for vectors.
    """
    made = Program(recursion.kind == "ntk", exact, 0 if shape else wide)
    made.states.append(shape or (1, wide))
    if not _starts_affine(recursion.layer):
        return None
    last = _encode(recursion.layer, made, 0)
    if last is None or (shape and made.states[last] != (1, 1)) or last != len(made.states) - 1:
        return None
    made.tape(1, made.states[last])
    return made


def _starts_affine(layer: Layer) -> bool:
    """Whether every path starts with a Dense or Conv layer, which gives the NTK its first value."""
    if isinstance(layer, Serial):
        layers = [inner for inner in layer.layers if not isinstance(inner, Flatten)]
        return bool(layers) and _starts_affine(layers[0])
    if isinstance(layer, Sum):
        return all(_starts_affine(branch) for branch in layer.branches)
    return isinstance(layer, Dense | Conv)


@functools.singledispatch
def _encode(layer: Layer, made: Program, state: int) -> int | None:
    """Adds a layer after a state; the number of the state that it makes, or None for a layer without native form."""
    return None


@_encode.register
def _(layer: Serial, made: Program, state: int) -> int | None:
    for inner in layer.layers:
        state = None if state is None else _encode(inner, made, state)
    return state


@_encode.register
def _(layer: Sum, made: Program, state: int) -> int | None:
    ends = [_encode(branch, made, state) for branch in layer.branches]
    if None in ends or len({made.states[end] for end in ends}) > 1:
        return None
    total, *rest = ends
    for end in rest:
        total = made.add(_ADD, total, made.states[total], two=end)
    return total if rest else None


@_encode.register
def _(layer: Dense, made: Program, state: int) -> int | None:
    shape = made.states[state]
    place = made.constant(layer.W_std**2)
    return made.add(_AFFINE, state, shape, size=1, stride=1, tape=made.tape(1, shape), constants=place)


@_encode.register
def _(layer: Conv, made: Program, state: int) -> int | None:
    if made.wide:
        return None
    shape = tuple(math.ceil(length / layer.stride) for length in made.states[state])
    place = made.constant(layer.W_std**2)
    size, stride = layer.kernel_size, layer.stride
    return made.add(_AFFINE, state, shape, size=size, stride=stride, tape=made.tape(1, shape), constants=place)


@_encode.register
def _(layer: Pointwise, made: Program, state: int) -> int | None:
    dual, shape = dual_of(layer.activation), made.states[state]
    if type(dual) not in _KIND:
        return None
    place = made.constant(*_constants(dual))
    tape = made.tape(2 + _SIDE_LENGTH[type(dual)], shape)
    return made.add(_ACTIVATE, state, shape, size=_KIND[type(dual)], tape=tape, constants=place)


@_encode.register
def _(layer: LayerNorm, made: Program, state: int) -> int | None:
    shape = made.states[state]
    return made.add(_NORM, state, shape, tape=made.tape(3, shape))


@_encode.register
def _(layer: Flatten, made: Program, state: int) -> int | None:
    return state if made.wide else made.add(_MEAN, state, (1, 1))


def _constants(dual: Dual) -> tuple[float, ...]:
    if isinstance(dual, Rectifier):
        return dual.mean, dual.jump
    if isinstance(dual, Erf):
        return dual.a2, dual.c2, dual.beta
    return (dual.a2, dual.b2, dual.odd) if isinstance(dual, Sin) else (0.0,)


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
