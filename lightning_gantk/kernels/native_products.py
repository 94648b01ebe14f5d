"""Products on the CPU through the native kernels; arguments and results as in ``vectors`` and ``images``."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels import tiles, vectors
from lightning_gantk.kernels.base import Products
from lightning_gantk.kernels.inner_products import InnerProducts, centre_of, flat
from lightning_gantk.kernels.programs import Program, program, tape_of_p, tape_of_x
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
LANES = 16
_PARTS = 8  # pieces of work per call, at least; several per core, so that all end together
_ROWS = 1024  # test points of a tile: enough for matrix products at full speed
_BANDS = 4  # of the symmetric half of a matrix of inner products
_WIDE = 16  # blocks of lanes that vectors are worked on in: 256 test points
_NARROW = 4  # the same where pairs of different blocks are worked out once, and those inside a block twice


def _call(name: str, results: tuple, *arguments: Array, **attributes: Any) -> tuple[Array, ...]:
    return jax.ffi.ffi_call(f"lightning_gantk_{name}", results)(*arguments, **attributes)


def _shape(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


@dataclass(frozen=True)
class NativeSampleProducts(Products):
    """Kernels of samples whose coordinates are compared one by one: images, and vectors of few dimensions.

    Attributes:
        recursion: The kernel.
    """

    recursion: Recursion
    name: ClassVar[str] = "native recursion, coordinate by coordinate"
    block: ClassVar[int] = 512

    @staticmethod
    def fits(recursion: Recursion, shape: tuple[int, ...]) -> bool:
        """Whether the native kernels know all of it; ``shape`` is ``(H, W, channels)`` or ``(d,)``."""
        return program(recursion, shape[:2] if len(shape) == 3 else None, exact=True, wide=1) is not None

    def gram(self, x: Array, y: Array) -> Array:
        """The Gram matrix ``(N, M)``."""
        return self._values(x, y, symmetric=False).T

    def symmetric(self, x: Array) -> Array:
        return self._values(x, x, symmetric=True)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        """``s(x) = sum_p k(x, p) w_p``, ``(N,)``."""
        most = max(1, tiles.array_budget() * 16 // (4 * len(points)))
        return tiles.by_rows(lambda x: jnp.matmul(self.gram(x, points), weights, precision="highest"), x, most)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        """Scores and ``ds(x_i)/dx_i`` in the shape of x."""
        return self._sums(x, points, weights, own=0)

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        return self._sums(points[:first], points, weights, own=first)

    def _sums(self, x: Array, points: Array, weights: Array, *, own: int) -> tuple[Array, Array]:
        """As ``scores_and_gradient``; x are the first ``own`` of the points, if any."""
        if own <= (_PARTS - 1) * LANES * (1 if x.ndim == 4 else _NARROW):
            own = 0  # few blocks have few pairs to share, and make too few parts
        made, (blocks, tape), (p, p_tape) = self._prepare(x, points, symmetric=own > 0)
        parts = 1 if own else min(len(points), max(1, -(-_PARTS // blocks.shape[0])))
        lanes = max(made.wide, 1) * LANES
        results = (
            _shape(parts, blocks.shape[0], lanes),
            _shape(parts, *blocks.shape),
            _shape(parts, *tape.shape),
        )
        arguments = blocks, tape, p, p_tape, weights
        found = _call("sums_of_samples", results, *arguments, own=np.int64(own), **made.attributes())
        values, direct, of_tape = map(_sum, found)
        _, pull = jax.vjp(lambda x: self._blocks(x, made)[1], x)
        gradient = self._unblock(direct, x.shape) + pull(of_tape)[0]
        return values.reshape(-1)[: len(x)], gradient

    def _values(self, x: Array, y: Array, *, symmetric: bool) -> Array:
        """Kernel values ``(M, N)``."""
        made, (blocks, tape), (p, p_tape) = self._prepare(x, y, symmetric=symmetric)
        shape = _shape(len(y), blocks.shape[0] * max(made.wide, 1) * LANES)
        arguments = blocks, tape, p, p_tape
        return _call("values_of_samples", shape, *arguments, symmetric=symmetric, **made.attributes())[:, : len(x)]

    def _prepare(
        self, x: Array, points: Array, *, symmetric: bool
    ) -> tuple[Program, tuple[Array, Array], tuple[Array, Array]]:
        """The program, and samples and tapes of both sides."""
        if x.ndim == 4:
            made = program(self.recursion, x.shape[1:3], exact=True, wide=0)
        else:
            made = program(self.recursion, None, exact=True, wide=_wide(x, symmetric=symmetric))
        pixels = _pixels(points)
        p = jnp.moveaxis(pixels.reshape(pixels.shape[0], -1, len(points)), 2, 0)
        return made, self._blocks(x, made), (p, tape_of_p(self._side(points)))

    def _side(self, x: Array) -> Any:
        pixels = _pixels(x)
        return self.recursion.marginals(jnp.mean(pixels * pixels, 0))

    def _blocks(self, x: Array, made: Program) -> tuple[Array, Array]:
        """Samples ``(B, channels, pixels, lanes)`` and their tape ``(B, units, lanes)``, filled up to whole blocks."""
        lanes = max(made.wide, 1) * LANES
        x = tiles.fill(x, -(-len(x) // lanes) * lanes)
        pixels = _pixels(x)
        return _to_blocks(pixels.reshape(pixels.shape[0], -1, len(x)), lanes), _to_blocks(
            tape_of_x(self._side(x)), lanes
        )

    @staticmethod
    def _unblock(blocks: Array, shape: tuple[int, ...]) -> Array:
        """``(B, channels, pixels, lanes)`` back to samples of ``shape``."""
        samples = jnp.moveaxis(blocks, 3, 1)  # (B, lanes, channels, pixels)
        samples = samples.reshape(-1, *samples.shape[2:])[: shape[0]]
        return jnp.swapaxes(samples, 1, 2).reshape(shape)


@dataclass(frozen=True)
class NativeVectorProducts(InnerProducts):
    """Kernels of vectors by matrix products; ``vectors`` says how.

    Attributes:
        recursion: The kernel.
        kinked: Whether it has a cusp at equal samples, so that near pairs need exact differences.
    """

    recursion: Recursion
    kinked: bool
    name: ClassVar[str] = "native recursion, by inner products"
    block: ClassVar[int] = _ROWS

    @staticmethod
    def fits(recursion: Recursion) -> bool:
        """Whether the native kernels know all of it."""
        return program(recursion, None, exact=False, wide=1) is not None

    def symmetric(self, x: Array) -> Array:
        x = flat(x)
        return self._values(x, x, centre_of(x), symmetric=True)

    @staticmethod
    def _tile(x: Array, points: Array) -> tuple[int, int]:
        """Inner products of 4 MiB, read once by each core."""
        rows = min(len(x), _ROWS)
        return rows, max(1, min(len(points), 2 * tiles.array_budget() // (4 * rows)))

    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        return self._pulled(x, lambda *x: tiles.accumulate(lambda part: self._sums(*x, *part, centre), parts))

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        x = points[:first]
        if len(points) > min(first, _ROWS):
            return self.scores_and_gradient(x, points, weights)
        vectors = flat(x)
        centre = centre_of(vectors)
        sums = functools.partial(self._sums, p=vectors, w=weights, centre=centre, symmetric=True)
        values, gradient = self._pulled(vectors, sums, symmetric=True)
        return values, gradient.reshape(x.shape)

    def _pulled(
        self, x: Array, sums: Callable[..., tuple[Array, Array, Array]], *, symmetric: bool = False
    ) -> tuple[Array, Array]:
        """Scores and gradient from ``sums(x, tape, program)``."""
        made = self._program(x, symmetric=symmetric)
        tape, pull = jax.vjp(lambda x: self._x_tape(x, made), x)
        values, gradient, of_tape = sums(x, tape, made)
        return values, (2 / x.shape[1]) * gradient + pull(of_tape)[0]

    def _program(self, x: Array, *, symmetric: bool) -> Program:
        return program(self.recursion, None, exact=False, wide=_wide(x, symmetric=symmetric))

    def _filled(self, x: Array, made: Program) -> Array:
        lanes = made.wide * LANES
        return tiles.fill(x, -(-len(x) // lanes) * lanes)

    def _x_tape(self, x: Array, made: Program) -> Array:
        x = self._filled(x, made)
        return _to_blocks(tape_of_x(self.recursion.marginals(vectors.mean_square(x))), made.wide * LANES)

    def _inner(
        self, x: Array, x_tape: Array, p: Array, made: Program, centre: Array, *, symmetric: bool = False
    ) -> tuple[tuple[Array, ...], dict[str, Any]]:
        """Arguments and attributes of the native calls for one tile."""
        x = self._filled(x, made)
        centred_x, centred_p = x - centre, p - centre
        if symmetric:
            inner = _upper(centred_p, centred_x, made.wide * LANES)
        else:
            inner = jnp.matmul(centred_p, centred_x.T, precision="highest")
        q_x, q_p, small_x, small_p = map(vectors.mean_square, (x, p, centred_x, centred_p))
        p_tape = tape_of_p(self.recursion.marginals(q_p))
        near = np.float32(vectors.NEAR["float32"] if self.kinked else 0)
        return (inner, small_x, small_p, x, p, q_x, q_p, x_tape, p_tape), {"near": near, **made.attributes()}

    def _values(self, x: Array, p: Array, centre: Array, *, symmetric: bool = False) -> Array:
        made = self._program(x, symmetric=symmetric)
        arguments, attributes = self._inner(x, self._x_tape(x, made), p, made, centre, symmetric=symmetric)
        shape = _shape(*arguments[0].shape)
        return _call("values_of_inner", shape, *arguments, symmetric=symmetric, **attributes)[:, : len(x)]

    def _sums(
        self, x: Array, x_tape: Array, made: Program, p: Array, w: Array, centre: Array, *, symmetric: bool = False
    ) -> tuple[Array, Array, Array]:
        """Of one tile: scores (R,), ``sum_p w F_v (x - p)`` (R, d) and the adjoint of x's tape."""
        arguments, attributes = self._inner(x, x_tape, p, made, centre, symmetric=symmetric)
        shape, n = arguments[0].shape, len(x)
        parts = min(len(p), max(1, -(-_PARTS // x_tape.shape[0])))
        results = (
            _shape(parts, shape[1]),
            _shape(*shape),
            _shape(shape[1], x.shape[1]),
            _shape(parts, *x_tape.shape),
        )
        found = _call("sums_of_inner", results, *arguments, w, symmetric=symmetric, **attributes)
        values, slopes, near, of_tape = found
        slopes = slopes[:, :n]
        moved = jnp.matmul(slopes.T, w[:, None] * (p - centre), precision="highest")
        gradient = near[:n] + jnp.matmul(w, slopes, precision="highest")[:, None] * (x - centre) - moved
        return _sum(values)[:n], gradient, _sum(of_tape)


def _sum(parts: Array) -> Array:
    """The sum of a few large arrays, one by one: XLA's sum over a short leading axis takes twenty times as long."""
    return sum(parts[i] for i in range(len(parts)))


def _wide(x: Array, *, symmetric: bool) -> int:
    """Blocks of lanes for vectors."""
    return max(1, min(_NARROW if symmetric else _WIDE, -(-len(x) // LANES)))


def _upper(p: Array, x: Array, block: int) -> Array:
    """``p x'`` in bands of rows, each from the block of the diagonal on.

    Fewer bands would work out more that nobody needs, more would be too narrow for a matrix product at full speed.
    """
    rows = -(-len(p) // (_BANDS * block)) * block
    starts = range(0, len(p), rows)
    bands = [jnp.matmul(p[i : i + rows], x[i:].T, precision="highest") for i in starts]
    return jnp.concatenate([jnp.pad(band, ((0, 0), (i, 0))) for i, band in zip(starts, bands, strict=True)])


def _pixels(x: Array) -> Array:
    """Images as ``(channels, H, W, N)``, vectors as ``(d, N)``."""
    return jnp.moveaxis(x, (0, 3), (3, 0)) if x.ndim == 4 else x.T


def _to_blocks(array: Array, lanes: int) -> Array:
    """``(..., N)`` as ``(B, ..., lanes)``."""
    return jnp.moveaxis(array.reshape(*array.shape[:-1], -1, lanes), -2, 0)
