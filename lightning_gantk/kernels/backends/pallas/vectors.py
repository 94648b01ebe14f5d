"""Sums over kernels of vectors on a GPU: one kernel for all that happens to pairs, between two matrix products.

``jax_vectors`` says what is summed, ``centred`` what the products are of. Near pairs are worked out from exact
differences inside the kernel that finds them, as many turns as the worst column of its tile has: no host waits, and a
generator that collapses costs a bounded time. A few dimensions need no product: all differences are exact.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.near import near
from lightning_gantk.kernels.backends.pallas import centred
from lightning_gantk.kernels.backends.pallas.arithmetic import contracted
from lightning_gantk.kernels.backends.pallas.calls import call, lanes, load, pad, shape, store, up_to
from lightning_gantk.kernels.backends.pallas.centred import Numbers, Side
from lightning_gantk.kernels.backends.vectors import FEW, flat, mean_square
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
_COORDINATES = 64  # of a near pair, at once
_SLICE = 64  # coordinates of a program that puts a gradient together
_PRODUCT = 64  # rows and columns of a tile of a matrix product
_PROGRAMS = 128  # tiles of a matrix product that keep a GPU busy


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
class PallasVectors(Backend):
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
    grouped = True

    def gram(self, x: Array, y: Array) -> Array:
        x, y = flat(x), flat(y)
        side, points, _ = self._sides(x, y, len(y))
        rows, columns = self._tile(len(x), len(y))

        def against(x: Side, count: int) -> Array:  # (R, M)
            values = self._by_rows(lambda p, many: self._values(x, count, p)[:many], points, len(y), columns)
            return values.T

        return self._by_rows(against, side, len(x), rows)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        x, points = flat(x), flat(points)
        side, p, _ = self._sides(x, points, len(points))
        return self._sum(lambda x, count, p, w: w @ self._values(x, count, p), side, len(x), p, weights)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        return self.of_groups(x, points, weights, None)

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        return self.of_groups_at_points(points, weights, len(points), first)

    def of_groups(self, x: Array, points: Array, weights: Array, first: int | None) -> tuple[Array, Array]:
        p = flat(points)
        side, p, places = self._sides(flat(x), p, first or len(p))
        return self._sums(side, len(x), p, weights, places, x.shape[1:])

    def of_groups_at_points(self, points: Array, weights: Array, first: int, count: int) -> tuple[Array, Array]:
        (p, x), places = self._side(flat(points), first, own=up_to(count, self._rows(count)))
        return self._sums(x, count, p, weights, places, points.shape[1:])

    def _sides(self, x: Array, points: Array, first: int) -> tuple[Side, Side, Array]:
        """Test points and training points, both filled up to whole programs, and the centres."""
        (p, _), places = self._side(points, first)
        x = self._filled(x)
        if _few(x):
            return _exact_side(x), p, places
        side, _ = centred.about(x.real, places, len(x), interpret=self.interpret)
        return side._replace(rests=_rests(x)), p, places

    def _side(self, points: Array, first: int, *, own: int = 0) -> tuple[tuple[Side, Side], Array]:
        """Training points, the same as test points if some of them are, and the centres."""
        samples = self._filled(points)
        if _few(points):
            side = _exact_side(samples)
            return (side, side), points[:0].real
        places = centred.centres(points.real, first, interpret=self.interpret)
        p, x = centred.about(samples.real, places, first, interpret=self.interpret, own=own)
        return (p._replace(rests=_rests(samples)), x._replace(rests=_rests(samples))), places

    def _filled(self, samples: Array) -> Array:
        return tiles.fill(samples, up_to(len(samples), max(self._rows(len(samples)), self._columns(len(samples)))))

    def _rows(self, count: int) -> int:
        """Test points of a program."""
        return lanes(count, least=16, most=self.sizes.rows)

    def _columns(self, count: int) -> int:
        """Training points of a program."""
        return lanes(count, least=16, most=self.sizes.columns)

    def _tile(self, count: int, points: int) -> tuple[int, int]:
        """Most test and training points of a tile."""
        pairs = tiles.GPU // 4
        rows = min(count, int(pairs**0.5))
        return rows, max(1, min(points, pairs // max(rows, 1)))

    def _by_rows(self, function: Callable[[Side, int], Any], side: Side, count: int, most: int) -> Any:
        """``function(tile, rows)`` for tiles of the first ``count`` samples of a side, joined."""
        many, each = tiles.even(count, most)
        if many == 1:
            return function(side, count)
        each = up_to(each, max(self._rows(each), self._columns(each)))
        results = jax.lax.map(lambda tile: function(tile, each), _split(side, count, many, each))
        return jax.tree.map(lambda r: r.reshape(many * each, *r.shape[2:])[:count], results)

    def _sum(self, of: Callable[..., Any], x: Side, count: int, p: Side, weights: Array) -> Any:
        """Sums over tiles of points of what ``of(x, count, p, w)`` gives for tiles of the first test points."""
        rows, columns = self._tile(count, len(weights))
        many, each = tiles.even(len(weights), columns)
        if many == 1:
            w = pad(weights, len(p.samples))
            return self._by_rows(lambda x, count: of(x, count, p, w), x, count, rows)
        each = up_to(each, self._columns(each))
        parts = _split(p, len(weights), many, each), tiles.split_weights(weights, many, each)

        def against_all(x: Side, count: int) -> Any:
            return tiles.accumulate(lambda part: of(x, count, *part), parts)

        return self._by_rows(against_all, x, count, rows)

    def _sums(
        self, x: Side, count: int, p: Side, weights: Array, places: Array, shape: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """Scores and gradients, in the shape of a sample, at the first ``count`` samples of a side."""
        values, gradient = self._sum(functools.partial(self._of_tile, places), x, count, p, weights)
        return values, gradient.reshape(count, *shape)

    def _of_tile(self, places: Array, x: Side, count: int, p: Side, w: Array) -> tuple[Array, Array]:
        """Scores ``(count,)`` and gradients ``(count, d)`` of one tile."""
        pairs = self._pairs(x, count, p, w)
        if _few(x.samples):
            return jnp.sum(pairs[0], 0)[:count], jnp.sum(pairs[1], 0).T[:count]
        moved = jnp.matmul(pairs[2].T, p.far, precision="highest")
        scores, gradient = self._gradient(x, p, places, moved, pairs)
        return scores[:count], gradient[:count]

    def _values(self, x: Side, count: int, p: Side) -> Array:
        """Kernel values ``(C, count)``, of filling too."""
        return self._pairs(x, count, p, None)[0][:, :count]

    def _pairs(self, x: Side, count: int, p: Side, w: Array | None) -> Any:
        """What happens to pairs: kernel values ``(C, R)``, or with weights sums over tiles of columns ``(T, R)``, ``w
        F_v`` of far and of near pairs ``(C, R)``, and turns of each tile.
        """
        rows, (many, d) = self._rows(count), p.samples.shape
        columns, each = self._columns(many), up_to(count, rows)
        grid = each // rows, many // columns
        inner = None if _few(p.samples) else _inner(x.far[:each], p.far)
        results: Any = [shape(many, each)]
        if w is not None and inner is None:
            results = [shape(grid[1], each), shape(grid[1], d, each)]
        elif w is not None:
            results = [shape(len(_SUMS), grid[1], each), shape(grid[1], grid[0], dtype=jnp.int32)]
            results += [shape(many, each)] * 2
        kernel = functools.partial(_pairs_kernel, self.recursion, rows, columns, self.interpret)
        arguments = *_each(x, p), x.numbers, p.numbers, inner, w
        return self._call(kernel, results, *arguments, name="gantk_pairs", grid=grid)

    def _gradient(self, x: Side, p: Side, places: Array, moved: Array, pairs: Any) -> tuple[Array, Array]:
        """Scores, and the gradient from all its parts."""
        sums, turns, _, near_a = pairs
        each, d = moved.shape
        rows, columns = each // turns.shape[1], len(p.samples) // turns.shape[0]
        grid = turns.shape[1], up_to(d, _SLICE) // _SLICE
        kernel = functools.partial(_gradient_kernel, rows, columns)
        arguments = *_each(x, p), places, moved, sums, turns, near_a
        return self._call(kernel, (shape(each), shape(each, d)), *arguments, name="gantk_gradient", grid=grid)

    def _call(self, kernel: Any, results: Any, *arguments: Any, **options: Any) -> Any:
        return call(kernel, results, *arguments, interpret=self.interpret, warps=self.sizes.warps, **options)


_SUMS = ("values", "by_q", "by_v of the first group", "by_v of the other")  # of a tile, over its points


def _few(samples: Array) -> bool:
    """Whether differences are taken one by one."""
    return samples.shape[1] <= FEW


def _each(x: Side, p: Side) -> tuple[Any, Any]:
    """Samples of both sides, with their rests; None for test points that are training points, so that one is given."""
    return (None if x.samples is p.samples else (x.samples, x.rests)), (p.samples, p.rests)


def _exact_side(samples: Array) -> Side:
    return Side(samples.real, samples.real, Numbers(mean_square(samples)), _rests(samples))


def _rests(samples: Array) -> Array | None:
    """What complex samples have beside their real parts: see ``directions``."""
    return samples.imag if jnp.iscomplexobj(samples) else None


def _split(side: Side, count: int, many: int, each: int) -> Side:
    """``(many, each, ...)``, of the first ``count`` samples."""
    return jax.tree.map(lambda array: tiles.split(array[:count], many, each), side)


def _inner(x: Array, p: Array) -> Array:
    """Inner products in parts ``(S, C, R)`` that are to be added: where pairs are few, a product of many coordinates
    keeps a GPU busy only if these are divided.
    """
    d = x.shape[1]
    wanted = _PROGRAMS // max(1, up_to(len(x), _PRODUCT) * up_to(len(p), _PRODUCT) // _PRODUCT**2)
    parts = max(s for s in range(1, max(1, min(wanted, d // _PRODUCT)) + 1) if d % s == 0)
    x, p = (side.reshape(len(side), parts, d // parts) for side in (x, p))
    return jnp.einsum("csk,rsk->scr", p, x, precision="highest")


def _pairs_kernel(
    recursion: Recursion,
    rows: int,
    columns: int,
    interpret: bool,
    x: Any,
    p: Any,
    of_x: Any,
    of_p: Any,
    inner: Any,
    weights: Any,
    *out: Any,
) -> None:
    x = p if x is None else x
    x_at = pallas.ds(pallas.program_id(0) * rows, rows)
    p_at = pallas.ds(pallas.program_id(1) * columns, columns)
    samples, d = x[0], x[0].shape[1]
    q_x, q_p = of_x.q[x_at], of_p.q[p_at]
    w = None if weights is None else weights[p_at]
    gaps: list[tuple[Array, Array]] = []
    left, turns = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    if inner is None:
        refs = _known(x, p)
        gaps = [_gap(*[(a[x_at, c][None], b[p_at, c][:, None]) for a, b in refs]) for c in range(d)]
        v = functools.reduce(jnp.add, [minus**2 for minus, _ in gaps]) / d
        difference = functools.reduce(jnp.add, [minus * plus for minus, plus in gaps]) / d
    else:
        v, bound = _distances(inner, d, (of_x, x_at), (of_p, p_at))
        left = near(v, bound, q_x[None] + q_p[:, None], recursion.scale)
        if w is not None:
            left &= (w != 0)[:, None]
        left = left.astype(jnp.int32)
        turns = jnp.max(jnp.sum(left, 0))
        state = v, jnp.broadcast_to(q_x[None] - q_p[:, None], v.shape), left
        exact = functools.partial(_exact_turn, x, p, x_at.start, p_at.start)
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
    by_q = jnp.sum(slope_q * w, 0)
    if inner is None:
        out[0][t, x_at] = jnp.sum(values * w, 0)
        for c, (minus, _plus) in enumerate(gaps):
            out[1][t, c, x_at] = (2 / d) * (jnp.sum(a * minus, 0) + by_q * samples[x_at, c])
        return
    far = jnp.where(left > 0, 0, a)
    group = of_p.group[p_at][:, None]
    by_v = (jnp.sum(far * share, 0) for share in (1 - group, group))
    for i, total in enumerate((jnp.sum(values * w, 0), by_q, *by_v)):
        out[0][i, t, x_at] = total
    out[1][t, pallas.program_id(0)] = turns
    out[2][p_at, x_at] = far

    @pallas.when(turns > 0)
    def _() -> None:
        out[3][p_at, x_at] = a - far


def _known(x: Any, p: Any) -> list[tuple[Any, Any]]:
    """References of both sides: to samples, and to their rests where they have some."""
    return [(a, b) for a, b in zip(x, p, strict=True) if a is not None]


def _gap(samples: Any, rests: Any = None) -> tuple[Array, Array]:
    """``a - b``, with what rounding left out of both, and ``a + b``, of pairs of coordinates ``(a, b)``."""
    a, b = samples
    minus = a - b
    if rests is not None:
        rest_a, rest_b = rests
        minus += rest_a - rest_b
    return minus, a + b


def _distances(inner: Any, d: int, x: Any, p: Any) -> tuple[Array, Array]:
    """Mean squared distances ``(C, R)`` by inner products, and numbers of whose size they have the rounding."""
    (of_x, x_at), (of_p, p_at) = x, p
    other = of_p.group[p_at][:, None] > 0
    one, two = of_x.one[x_at][None], of_x.two[x_at][None]
    own = jnp.where(other, of_p.two[p_at][:, None], of_p.one[p_at][:, None])
    lengths = jnp.where(other, two, one) + own
    product = functools.reduce(jnp.add, [inner[s, p_at, x_at] for s in range(inner.shape[0])])
    v = jnp.maximum(lengths - (2 / d) * product - 2 * of_p.cross[p_at][:, None], 0)
    return v, lengths + jnp.where(other, one, 0)  # the product is of x about the first centre


def _exact_turn(x: Any, p: Any, first_x: Any, first_p: Any, _: Array, state: Any) -> Any:
    """Works out the next near pair of each test point of a tile, from exact differences of all coordinates."""
    v, difference, left = state
    columns, rows = v.shape
    d = x[0].shape[1]
    place = jax.lax.broadcasted_iota(jnp.int32, v.shape, 0)
    j = jnp.min(jnp.where(left > 0, place, columns), 0)
    of_x = (first_x + jnp.arange(rows))[:, None]
    of_p = (first_p + jnp.minimum(j, columns - 1))[:, None]

    def add(k: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        at = (k * _COORDINATES + jnp.arange(_COORDINATES))[None]
        inside = jnp.broadcast_to(at < d, sums[0].shape)
        some = functools.partial(load, mask=inside, other=0.0)
        minus, plus = _gap(*[(some(a.at[of_x, at]), some(b.at[of_p, at])) for a, b in _known(x, p)])
        return sums[0] + minus**2, sums[1] + minus * plus

    zeros = jnp.zeros((rows, _COORDINATES), v.dtype)
    sums = jax.lax.fori_loop(0, up_to(d, _COORDINATES) // _COORDINATES, add, (zeros, zeros))
    square, cross = (jnp.sum(part, 1)[None] / d for part in sums)
    this = place == j[None]
    return jnp.where(this, square, v), jnp.where(this, cross, difference), jnp.where(this, 0, left)


def _gradient_kernel(
    rows: int,
    columns: int,
    x: Any,
    p: Any,
    places: Any,
    moved: Any,
    sums: Any,
    turns: Any,
    near_a: Any,
    out_scores: Any,
    out: Any,
) -> None:
    x = p if x is None else x
    i, k, d = pallas.program_id(0), pallas.program_id(1), x[0].shape[1]
    x_at = pallas.ds(i * rows, rows)
    of_x = (i * rows + jnp.arange(rows))[:, None]
    at = k * _SLICE + jnp.arange(_SLICE)
    wide, inside = jnp.broadcast_to(at[None] < d, (rows, _SLICE)), at < d
    some = [load(ref.at[of_x, at[None]], mask=wide, other=0.0) for ref, _ in _known(x, p)]

    def total_of(i: int, t: Array, total: Array) -> Array:
        return total + sums[i, t, x_at]

    def add(t: Array, state: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        totals, gradient = state

        def near_pairs(j: Array, gradient: Array) -> Array:
            c = t * columns + j
            points = [load(ref.at[c, at], mask=inside, other=0.0)[None] for _, ref in _known(x, p)]
            minus, _ = _gap(*zip(some, points, strict=True))
            return gradient + near_a[c, x_at][:, None] * minus

        gradient = jax.lax.fori_loop(0, columns * jnp.minimum(turns[t, i], 1), near_pairs, gradient)
        return [total_of(i, t, total) for i, total in enumerate(totals, 1)], gradient

    zeros = jnp.zeros((rows,), jnp.float32)
    start = [zeros] * (len(_SUMS) - 1), jnp.zeros((rows, _SLICE), jnp.float32)
    (slope_q, *slopes_v), gradient = jax.lax.fori_loop(0, turns.shape[0], add, start)
    for g, slope_v in enumerate(slopes_v):
        place = load(places.at[g, at], mask=inside, other=0.0)
        gradient += slope_v[:, None] * (some[0] - place[None])
    gradient -= load(moved.at[of_x, at[None]], mask=wide, other=0.0)
    gradient = (2 / d) * (gradient + slope_q[:, None] * some[0])
    store(out.at[of_x, at[None]], gradient, mask=wide)

    @pallas.when(k == 0)
    def _() -> None:
        out_scores[x_at] = jax.lax.fori_loop(0, turns.shape[0], functools.partial(total_of, 0), zeros)
