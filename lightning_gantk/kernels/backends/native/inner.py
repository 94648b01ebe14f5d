"""Sums over kernels of vectors with distances from a matrix product; ``jax_vectors`` says how."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.native.calls import (
    PARTS,
    blocks_wide,
    call,
    filled,
    lanes,
    shape,
    sum_of,
    to_blocks,
)
from lightning_gantk.kernels.backends.native.program import Program, program, tape_of_p, tape_of_x
from lightning_gantk.kernels.backends.near import CLOSE, NEAR, SMOOTH
from lightning_gantk.kernels.backends.vectors import VectorBackend, centre_of, flat, mean_square
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
_ROWS = 1024  # test points of a tile: enough for matrix products at full speed
_BANDS = 4  # of the symmetric half of a matrix of inner products


@dataclass(frozen=True)
class NativeVectors(VectorBackend):
    """Sums over the kernel of an architecture.

    Attributes:
        recursion: The kernel.
    """

    recursion: Recursion
    name = "native, by inner products"
    block = _ROWS

    @staticmethod
    def fits(recursion: Recursion, shape: tuple[int, ...]) -> bool:
        """Whether the native kernels know all of it."""
        return program(recursion, None, wide=1) is not None

    def symmetric_gram(self, x: Array) -> Array:
        x = flat(x)
        return self._values(x, x, centre_of(x), symmetric=True)

    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        """Inner products of 4 MiB, read once by each core."""
        rows = min(len(x), _ROWS)
        return rows, max(1, min(len(points), 2 * tiles.CPU // (4 * rows)))

    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        made = self._program(x)
        tape, pull = jax.vjp(lambda x: self._x_tape(x, made), x.real)
        sums = tiles.accumulate(lambda part: self._sums(x, tape, made, part[0], part[1], centre), parts)
        values, gradient, of_tape = sums
        return values, (2 / x.shape[1]) * gradient + pull(of_tape)[0]

    def _program(self, x: Array, *, symmetric: bool = False) -> Program:
        wide = blocks_wide(len(x), symmetric=symmetric)
        made = program(self.recursion, None, wide=wide, rests=jnp.iscomplexobj(x))
        assert made is not None  # see fits
        return made

    def _x_tape(self, x: Array, made: Program) -> Array:
        return to_blocks(tape_of_x(self.recursion.marginals(mean_square(filled(x, made.wide)))), made.wide)

    def _inner(
        self, x: Array, x_tape: Array, p: Array, made: Program, centre: Array, *, symmetric: bool = False
    ) -> tuple[tuple[Array, ...], dict[str, Any]]:
        """Arguments and attributes of the native calls for one tile."""
        x = filled(x, made.wide)
        centred_x, centred_p = x.real - centre, p.real - centre
        if symmetric:
            inner = _upper(centred_p, centred_x, made.wide * lanes())
        else:
            inner = jnp.matmul(centred_p, centred_x.T, precision="highest")
        q_x, q_p, small_x, small_p = map(mean_square, (x, p, centred_x, centred_p))
        p_tape = tape_of_p(self.recursion.marginals(q_p))
        thresholds = {
            "near": NEAR["float32"],
            "close": CLOSE["float32"],
            "floor": SMOOTH["float32"] * self.recursion.scale,
        }
        attributes = {name: np.float32(min(value, 3e38)) for name, value in thresholds.items()}
        return (inner, small_x, small_p, _numbers(x), _numbers(p), q_x, q_p, x_tape, p_tape), {
            **attributes,
            **made.attributes(),
        }

    def _values(self, x: Array, p: Array, centre: Array, *, symmetric: bool = False) -> Array:
        made = self._program(x, symmetric=symmetric)
        arguments, attributes = self._inner(x, self._x_tape(x, made), p, made, centre, symmetric=symmetric)
        result = shape(*arguments[0].shape)
        return call("values_of_inner", result, *arguments, symmetric=symmetric, **attributes)[:, : len(x)]

    def _sums(
        self, x: Array, x_tape: Array, made: Program, p: Array, w: Array, centre: Array
    ) -> tuple[Array, Array, Array]:
        """Of one tile: scores (R,), ``sum_p w F_v (x - p)`` (R, d) and the adjoint of x's tape."""
        arguments, attributes = self._inner(x, x_tape, p, made, centre)
        (points, rows), n = arguments[0].shape, len(x)
        parts = min(len(p), max(1, -(-PARTS // x_tape.shape[0])))
        results = shape(parts, rows), shape(points, rows), shape(rows, x.shape[1]), shape(parts, *x_tape.shape)
        values, slopes, near, of_tape = call("sums_of_inner", results, *arguments, w, **attributes)
        slopes = slopes[:, :n]
        moved = jnp.matmul(slopes.T, w[:, None] * (p.real - centre), precision="highest")
        gradient = near[:n] + jnp.matmul(w, slopes, precision="highest")[:, None] * (x.real - centre) - moved
        return sum_of(values)[:n], gradient, sum_of(of_tape)


def _numbers(x: Array) -> Array:
    """Vectors ``(N, d)`` as the native calls have them: of complex ones first all real parts, ``(N, 2 d)``."""
    return jnp.concatenate([x.real, x.imag], 1) if jnp.iscomplexobj(x) else x


def _upper(p: Array, x: Array, block: int) -> Array:
    """``p x'`` in bands of rows, each from the block of the diagonal on.

    Fewer bands would work out more that nobody needs, more would be too narrow for a matrix product at full speed.
    """
    rows = -(-len(p) // (_BANDS * block)) * block
    starts = range(0, len(p), rows)
    bands = [jnp.matmul(p[i : i + rows], x[i:].T, precision="highest") for i in starts]
    return jnp.concatenate([jnp.pad(band, ((0, 0), (i, 0))) for i, band in zip(starts, bands, strict=True)])
