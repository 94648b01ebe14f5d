"""The encoding of a program's steps, said once: ``layout.h``, which ``program.h`` reads, is written from it."""

from dataclasses import dataclass, fields
from enum import IntEnum, auto


class Op(IntEnum):
    """What a step does."""

    AFFINE = 0  # means over windows, and what an affine layer adds to the NTK
    PIXELWISE = auto()  # code generated from the layer, see pixelwise.py
    MEAN = auto()  # over all pixels
    ADD = auto()  # of two states


@dataclass
class Step:
    """One step; every field is a whole number.

    Attributes:
        op: See ``Op``.
        into: The state that it reads (``in`` in C++).
        out: The state that it makes.
        two: The other state that ADD reads.
        size: Pixels on a side of a window.
        stride: From one window to the next.
        factor: The place of the affine layer's factor among the floats.
        first: Whether the NTK starts here.
        tape: The place of the layer's first entry on a tape.
        plain: The number of a pixelwise layer that takes no exact differences.
        exact: The number of the same that does.
        fresh: Whether nothing stands in the adjoint of ``into`` yet, on the way back.
        fresh_two: The same of ``two``.
    """

    op: int
    into: int
    out: int
    two: int = 0
    size: int = 1
    stride: int = 1
    factor: int = 0
    first: int = 0
    tape: int = 0
    plain: int = 0
    exact: int = 0
    fresh: int = 0
    fresh_two: int = 0


def layout() -> str:
    """``layout.h``: the same in C++."""
    names = ", ".join("in" if entry.name == "into" else entry.name for entry in fields(Step))
    ops = ", ".join(f"{op.name} = {op.value}" for op in Op)
    return (
        "// Written by layout.py.\n#pragma once\n#include <cstdint>\n\n"
        f"enum Op {{ {ops} }};\n\nstruct Step {{\n  int64_t {names};\n}};\n"
    )
