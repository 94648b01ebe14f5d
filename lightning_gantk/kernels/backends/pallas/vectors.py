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

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.pallas import centred, vector_kernels
from lightning_gantk.kernels.backends.pallas.calls import call, lanes, pad, shape, up_to
from lightning_gantk.kernels.backends.pallas.centred import Numbers, Side
from lightning_gantk.kernels.backends.vectors import FEW, flat, mean_square
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
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
            results = [shape(len(vector_kernels.SUMS), grid[1], each), shape(grid[1], grid[0], dtype=jnp.int32)]
            results += [shape(many, each)] * 2
        kernel = functools.partial(vector_kernels.pairs, self.recursion, rows, columns, self.interpret)
        arguments = *_each(x, p), x.numbers, p.numbers, inner, w
        return self._call(kernel, results, *arguments, name="gantk_pairs", grid=grid)

    def _gradient(self, x: Side, p: Side, places: Array, moved: Array, pairs: Any) -> tuple[Array, Array]:
        """Scores, and the gradient from all its parts."""
        sums, turns, _, near_a = pairs
        each, d = moved.shape
        rows, columns = each // turns.shape[1], len(p.samples) // turns.shape[0]
        grid = turns.shape[1], up_to(d, vector_kernels.SLICE) // vector_kernels.SLICE
        kernel = functools.partial(vector_kernels.gradient, rows, columns)
        arguments = *_each(x, p), places, moved, sums, turns, near_a
        return self._call(kernel, (shape(each), shape(each, d)), *arguments, name="gantk_gradient", grid=grid)

    def _call(self, kernel: Any, results: Any, *arguments: Any, **options: Any) -> Any:
        return call(kernel, results, *arguments, interpret=self.interpret, warps=self.sizes.warps, **options)


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
