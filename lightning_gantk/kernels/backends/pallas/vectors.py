"""Sums over kernels of vectors on a GPU: one kernel for all that happens to pairs, between two matrix products.

``jax_vectors`` says what is summed. Near pairs are worked out from exact differences inside the kernel that finds them,
as many turns as the worst column of its tile has: no host waits, and a generator that collapses costs a bounded time.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.near import near
from lightning_gantk.kernels.backends.pallas.arithmetic import contracted
from lightning_gantk.kernels.backends.pallas.calls import call, lanes, load, pad, shape, store, up_to
from lightning_gantk.kernels.backends.vectors import FEW, VectorBackend, mean_square
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
_COORDINATES = 64  # of a near pair, at once
_SLICE = 64  # coordinates of a program that puts a gradient together


@dataclass(frozen=True)
class Sizes:
    """How pairs are divided.

    Attributes:
        rows: Test points of a program, at most.
        columns: Training points of a program, at most.
        warps: Of a program.
    """

    rows: int = 32
    columns: int = 32
    warps: int = 4


@dataclass(frozen=True)
class PallasVectors(VectorBackend):
    """Sums over the kernel of an architecture, in float32.

    Attributes:
        recursion: The kernel.
        interpret: Whether to run without a GPU, slowly.
        sizes: How pairs are divided.
    """

    recursion: Recursion
    interpret: bool = False
    sizes: Sizes = Sizes()
    name = "Pallas, by inner products"

    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        pairs = tiles.GPU // x.dtype.itemsize
        rows = min(len(x), int(pairs**0.5))
        return rows, max(1, min(len(points), pairs // max(rows, 1)))

    def _values(self, x: Array, p: Array, centre: Array) -> Array:
        side = self._prepare(x, p, centre)
        (values,) = self._pairs(side, None)
        return values[: len(p), : len(x)]

    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        return tiles.accumulate(lambda part: self._sums(x, part[0], part[1], centre), parts)

    def _prepare(self, x: Array, p: Array, centre: Array) -> "_Tile":
        rows = lanes(len(x), least=16, most=self.sizes.rows)
        columns = lanes(len(p), least=16, most=self.sizes.columns)
        x, p = tiles.fill(x, up_to(len(x), rows)), tiles.fill(p, up_to(len(p), columns))
        far_x, far_p = x - centre, p - centre
        inner = None if x.shape[1] <= FEW else jnp.matmul(far_p, far_x.T, precision="highest")
        return _Tile(x, p, far_x, far_p, inner, rows, columns)

    def _sums(self, x: Array, p: Array, w: Array, centre: Array) -> tuple[Array, Array]:
        """Scores (R,) and gradients (R, d) of one tile."""
        tile, count = self._prepare(x, p, centre), len(x)
        w = pad(w, len(tile.p))
        if tile.inner is None:
            scores, *gradient = self._pairs(tile, w)
            return jnp.sum(scores, 0)[:count], jnp.sum(gradient[0], 0).T[:count]
        pairs = self._pairs(tile, w)
        moved = jnp.matmul(pairs[3].T, tile.far_p, precision="highest")
        scores, gradient = self._gradient(tile, moved, pairs)
        return scores[:count], gradient[:count]

    def _pairs(self, tile: "_Tile", w: Array | None) -> Any:
        """What happens to pairs: kernel values ``(C, R)``, or with weights sums over tiles of columns ``(T, R)``, ``w
        F_v`` of far and of near pairs ``(C, R)``, and turns of each tile.
        """
        p, x, (rows, columns) = tile.p, tile.x, (tile.rows, tile.columns)
        (many, each), d = (len(p), len(x)), p.shape[1]
        grid = each // rows, many // columns
        numbers = [mean_square(side) for side in (x, p)]
        if tile.inner is not None:
            numbers += [mean_square(tile.far_x), mean_square(tile.far_p)]
        results: Any = [shape(many, each)]
        if w is not None and tile.inner is None:
            results = [shape(grid[1], each), shape(grid[1], d, each)]
        elif w is not None:
            sums, all_pairs = shape(grid[1], each), shape(many, each)
            results = [sums, sums, sums, all_pairs, all_pairs, shape(grid[1], grid[0], dtype=jnp.int32)]
        kernel = functools.partial(_pairs_kernel, self.recursion, rows, columns, self.interpret)
        arguments = {"x": x, "p": p, "numbers": numbers, "inner": tile.inner, "w": w}
        return self._call(kernel, results, arguments, name="gantk_pairs", grid=grid)

    def _gradient(self, tile: "_Tile", moved: Array, pairs: Any) -> tuple[Array, Array]:
        """Scores, and the gradient from all its parts."""
        rows, columns = tile.rows, tile.columns
        length, d = tile.x.shape
        grid = length // rows, up_to(d, _SLICE) // _SLICE
        kernel = functools.partial(_gradient_kernel, rows, columns, d)
        arguments = tile.x, tile.p, tile.far_x, moved, *pairs[:3], *pairs[4:]
        results = shape(length), shape(length, d)
        return self._call(kernel, results, *arguments, name="gantk_gradient", grid=grid)

    def _call(self, kernel: Any, results: Any, *arguments: Any, **options: Any) -> Any:
        return call(kernel, results, *arguments, interpret=self.interpret, warps=self.sizes.warps, **options)


@dataclass(frozen=True)
class _Tile:
    """Samples filled up to whole programs, the same about the centre, and their inner products ``(C, R)``."""

    x: Array
    p: Array
    far_x: Array
    far_p: Array
    inner: Array | None
    rows: int
    columns: int


def _pairs_kernel(recursion: Recursion, rows: int, columns: int, interpret: bool, refs: Any, *out: Any) -> None:
    x_at = pallas.ds(pallas.program_id(0) * rows, rows)
    p_at = pallas.ds(pallas.program_id(1) * columns, columns)
    d = refs["x"].shape[1]
    q_x, q_p = refs["numbers"][0][x_at], refs["numbers"][1][p_at]
    w = None if refs["w"] is None else refs["w"][p_at]
    gaps, left, turns = [], jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    if d <= FEW:
        gaps = [(refs["x"][x_at, c][None], refs["p"][p_at, c][:, None]) for c in range(d)]
        v = functools.reduce(jnp.add, [(a - b) ** 2 for a, b in gaps]) / d
        difference = functools.reduce(jnp.add, [(a - b) * (a + b) for a, b in gaps]) / d
    else:
        lengths = q_x[None] + q_p[:, None]
        q = refs["numbers"][2][x_at][None] + refs["numbers"][3][p_at][:, None]
        v = jnp.maximum(q - (2 / d) * refs["inner"][p_at, x_at], 0)
        left = near(v, q, lengths, recursion.scale)
        if w is not None:
            left &= (w != 0)[:, None]
        left = left.astype(jnp.int32)
        turns = jnp.max(jnp.sum(left, 0))
        state = v, jnp.broadcast_to(q_x[None] - q_p[:, None], v.shape), left
        exact = functools.partial(_exact_turn, refs["x"], refs["p"], x_at.start, p_at.start)
        v, difference, _ = jax.lax.fori_loop(0, turns, exact, state)

    def values_of(v: Array, difference: Array, q_x: Array, q_p: Array) -> Array:
        return recursion.kernel(v, difference, recursion.marginals(q_x), recursion.marginals(q_p))

    def derivatives(v: Array, difference: Array, q_x: Array, q_p: Array) -> tuple[Array, Array, Array]:
        values, slope_q = jax.jvp(lambda q: values_of(v, difference, q, q_p), (q_x,), (jnp.ones_like(q_x),))
        slope_v = jax.jvp(lambda v: values_of(v, difference, q_x, q_p), (v,), (jnp.ones_like(v),))[1]
        return values, slope_q, slope_v

    if w is None:
        out[0][p_at, x_at] = contracted(values_of, interpret=interpret)(v, difference, q_x, q_p)
        return
    values, slope_q, slope_v = contracted(derivatives, interpret=interpret)(v, difference, q_x, q_p)
    t, w = pallas.program_id(1), w[:, None]
    a = slope_v * w
    out[0][t, x_at] = jnp.sum(values * w, 0)
    by_q = jnp.sum(slope_q * w, 0)
    if d <= FEW:
        for c, (x, p) in enumerate(gaps):
            out[1][t, c, x_at] = (2 / d) * (jnp.sum(a * (x - p), 0) + by_q * x[0])
        return
    far = jnp.where(left > 0, 0, a)
    out[1][t, x_at] = by_q
    out[2][t, x_at] = jnp.sum(far, 0)
    out[3][p_at, x_at] = far
    out[5][t, pallas.program_id(0)] = turns

    @pallas.when(turns > 0)
    def _() -> None:
        out[4][p_at, x_at] = a - far


def _exact_turn(x: Any, p: Any, first_x: Any, first_p: Any, _: Array, state: Any) -> Any:
    """Works out the next near pair of each test point of a tile, from exact differences of all coordinates."""
    v, difference, left = state
    columns, rows = v.shape
    d = x.shape[1]
    place = jax.lax.broadcasted_iota(jnp.int32, v.shape, 0)
    j = jnp.min(jnp.where(left > 0, place, columns), 0)
    of_x = (first_x + jnp.arange(rows))[:, None]
    of_p = (first_p + jnp.minimum(j, columns - 1))[:, None]

    def add(k: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        at = (k * _COORDINATES + jnp.arange(_COORDINATES))[None]
        inside = jnp.broadcast_to(at < d, sums[0].shape)
        a, b = (load(ref.at[row, at], mask=inside, other=0.0) for ref, row in ((x, of_x), (p, of_p)))
        return sums[0] + (a - b) ** 2, sums[1] + (a - b) * (a + b)

    zeros = jnp.zeros((rows, _COORDINATES), v.dtype)
    sums = jax.lax.fori_loop(0, up_to(d, _COORDINATES) // _COORDINATES, add, (zeros, zeros))
    square, cross = (jnp.sum(part, 1)[None] / d for part in sums)
    this = place == j[None]
    return jnp.where(this, square, v), jnp.where(this, cross, difference), jnp.where(this, 0, left)


def _gradient_kernel(
    rows: int,
    columns: int,
    d: int,
    x: Any,
    p: Any,
    far_x: Any,
    moved: Any,
    scores: Any,
    by_q: Any,
    by_v: Any,
    near_a: Any,
    turns: Any,
    out_scores: Any,
    out: Any,
) -> None:
    i, k = pallas.program_id(0), pallas.program_id(1)
    x_at = pallas.ds(i * rows, rows)
    of_x = (i * rows + jnp.arange(rows))[:, None]
    at = k * _SLICE + jnp.arange(_SLICE)
    wide, inside = jnp.broadcast_to(at[None] < d, (rows, _SLICE)), at < d
    some = load(x.at[of_x, at[None]], mask=wide, other=0.0)

    def add(t: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        value, slope_q, slope_v, gradient = sums

        def near_pairs(j: Array, gradient: Array) -> Array:
            c = t * columns + j
            point = load(p.at[c, at], mask=inside, other=0.0)
            return gradient + near_a[c, x_at][:, None] * (some - point[None])

        gradient = jax.lax.fori_loop(0, columns * jnp.minimum(turns[t, i], 1), near_pairs, gradient)
        return value + scores[t, x_at], slope_q + by_q[t, x_at], slope_v + by_v[t, x_at], gradient

    zeros = jnp.zeros((rows,), jnp.float32)
    start = (zeros, zeros, zeros, jnp.zeros((rows, _SLICE), jnp.float32))
    value, slope_q, slope_v, gradient = jax.lax.fori_loop(0, turns.shape[0], add, start)
    gradient += slope_v[:, None] * load(far_x.at[of_x, at[None]], mask=wide, other=0.0)
    gradient -= load(moved.at[of_x, at[None]], mask=wide, other=0.0)
    gradient = (2 / d) * (gradient + slope_q[:, None] * some)
    store(out.at[of_x, at[None]], gradient, mask=wide)

    @pallas.when(k == 0)
    def _() -> None:
        out_scores[x_at] = value
