"""Sums over a kernel of vectors in JAX: two matrix products and one pass over pairs.

With F(v, q_x) the kernel of a pair at mean squared distance v, ``s(x) = sum_p w_p F`` and

    ds/dx = 2/d sum_p w_p (F_v (x - p) + F_q x).

Distances come from a matrix product but for near pairs, see ``near``. In few dimensions every difference is exact and
as cheap.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Differentiable
from lightning_gantk.kernels.backends.near import near, turn_by_turn
from lightning_gantk.kernels.backends.vectors import FEW, VectorBackend, centre_of, flat, gap, mean_square

Array = jax.Array
_ROWS = 256  # rows of a tile on the CPU: enough for a matrix product at full speed
_BUDGET = 512 * 2**20  # bytes of a tile that is differentiated


@dataclass(frozen=True)
class JaxVectors(VectorBackend, Differentiable):
    """Sums over a kernel of distances.

    Attributes:
        marginals: ``q (N,) -> `` what pairs need of N samples, a pytree of ``(N,)`` arrays.
        kernel: ``kernel(v, difference, x, p, paired=...)`` as in ``recursions.Recursion.kernel``.
        scale: The mean squared distance across which the kernel changes; 0 where it has a cusp at equal samples.
        array_bytes: What one array over the pairs of a tile may take: ``tiles.CPU`` or ``tiles.GPU``.
    """

    marginals: Callable[[Array], Any]
    kernel: Callable[..., Array]
    scale: float
    array_bytes: int = tiles.CPU
    name = "JAX, by inner products"

    def pullback(self, x: Array, y: Array, cotangent: Array) -> Array:
        vectors, y = flat(x), flat(y)
        centre = centre_of(y)
        rows = max(1, _BUDGET // (16 * x.dtype.itemsize * len(y)))
        count, each = tiles.even(len(x), rows)

        def of(tile: tuple[Array, Array]) -> Array:
            x, weights = tile
            _, slope_q, gradient = self._sums(x, y, weights.T, centre)
            return (2 / x.shape[1]) * (gradient + slope_q[:, None] * x.real)

        parts = tiles.split(vectors, count, each), tiles.split(cotangent, count, each)
        return jax.lax.map(of, parts).reshape(count * each, -1)[: len(x)].reshape(x.shape)

    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        pairs = self.array_bytes // x.dtype.itemsize
        rows = min(len(x), _ROWS if pairs <= 4 * _ROWS**2 * 4 else int(pairs**0.5))
        return rows, max(1, min(len(points), pairs // max(rows, 1)))

    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        values, slope_q, gradient = tiles.accumulate(lambda part: self._sums(x, part[0], part[1], centre), parts)
        return values, (2 / x.shape[1]) * (gradient + slope_q[:, None] * x.real)

    def _values(self, x: Array, p: Array, centre: Array) -> Array:
        side_x, side_p = (self.marginals(mean_square(s)) for s in (x, p))
        if x.shape[1] <= FEW:
            return self.kernel(*_exact(x, p), side_x, side_p)
        v, left_out = self._distances(x, p, centre)
        return self._put_back_values(left_out, self.kernel(v, None, side_x, side_p), x, p)

    def _sums(self, x: Array, p: Array, w: Array, centre: Array) -> tuple[Array, Array, Array]:
        """Of one tile: ``sum_p w F``, ``sum_p w F_q``, both (R,), and ``sum_p w F_v (x - p)``, (R, d).

        Weights are ``(C,)``, or ``(C, R)`` where each test point has its own.
        """
        w = _each(w, (len(p), len(x)))
        q_x, side_p = mean_square(x), self.marginals(mean_square(p))
        if x.shape[1] <= FEW:
            v, difference = _exact(x, p)
            values, slope_q, slope_v = self._derivatives(v, difference, q_x, side_p)
            a = slope_v * w
            return jnp.sum(w * values, 0), jnp.sum(w * slope_q, 0), _pulls(a, x, p).T
        v, left_out = self._distances(x, p, centre)
        left_out &= w != 0
        weights = jnp.where(left_out, 0, w)
        values, slope_q, slope_v = self._derivatives(v, None, q_x, side_p)
        a = slope_v * weights
        moved = jnp.matmul(a.T, p.real - centre, precision="highest")
        gradient = jnp.sum(a, 0)[:, None] * (x.real - centre) - moved
        # Both sums in one complex number: XLA's CPU backend runs through all the arithmetic once for each output.
        both = jnp.sum(jax.lax.complex(values * weights, slope_q * weights), 0)
        return self._put_back_sums(left_out, (both.real, both.imag, gradient), x, p, w)

    def _put_back_values(self, left_out: Array, values: Array, x: Array, p: Array) -> Array:
        """Kernel values ``(C, R)`` with those of the pairs that were left out, from exact differences."""
        side_x, side_p = (self.marginals(mean_square(s)) for s in (x, p))
        columns = jnp.arange(len(x))

        def put_back(j: Array, has: Array, values: Array) -> Array:
            exact = self.kernel(*_exact_paired(x, p[j]), side_x, _take(side_p, j), paired=True)
            return values.at[j, columns].set(jnp.where(has, exact, values[j, columns]))

        def all_left(left: Array, values: Array) -> Array:
            return jnp.where(left, self.kernel(*_exact_by_chunks(x, p), side_x, side_p), values)

        return turn_by_turn(left_out, put_back, values, all_left if self._asks_little else None)

    def _put_back_sums(
        self, left_out: Array, sums: tuple[Array, Array, Array], x: Array, p: Array, w: Array
    ) -> tuple[Array, Array, Array]:
        """The sums of ``_sums`` with the pairs (C, R) that were left out, from exact differences."""
        q_x, side_p, columns = mean_square(x), self.marginals(mean_square(p)), jnp.arange(len(x))
        w = _each(w, (len(p), len(x)))

        def put_back(j: Array, has: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            wj, pj = jnp.where(has, w[j, columns], 0), p[j]
            v, difference = _exact_paired(x, pj)
            derivatives = self._derivatives(v, difference, q_x, _take(side_p, j), paired=True)
            values, slope_q, slope_v = (wj * derivative for derivative in derivatives)
            return sums[0] + values, sums[1] + slope_q, sums[2] + slope_v[:, None] * gap(x, pj)

        def all_left(left: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            derivatives = self._derivatives(*_exact_by_chunks(x, p), q_x, side_p)
            values, slope_q, slope_v = (jnp.where(left, w, 0) * derivative for derivative in derivatives)
            moved = jax.lax.map(lambda part: _pulls(slope_v, *part), (_chunks(x), _chunks(p)))
            gradient = jnp.moveaxis(moved, 2, 0).reshape(len(x), -1)[:, : x.shape[1]]
            return sums[0] + jnp.sum(values, 0), sums[1] + jnp.sum(slope_q, 0), sums[2] + gradient

        return turn_by_turn(left_out, put_back, sums, all_left if self._asks_little else None)

    @property
    def _asks_little(self) -> bool:
        """Whether near pairs are put back in a number of steps that is known: where tiles are large, as on a GPU."""
        return self.array_bytes > tiles.CPU

    def _derivatives(
        self, v: Array, difference: Array | None, q_x: Array, side_p: Any, *, paired: bool = False
    ) -> tuple[Array, Array, Array]:
        """F, F_q and F_v; the barrier keeps two loops that share nothing from storing what they have in common."""

        def function(v: Array, q: Array) -> Array:
            return self.kernel(v, difference, self.marginals(q), side_p, paired=paired)

        v, other = jax.lax.optimization_barrier((v, v)) if not paired else (v, v)
        values, slope_q = jax.jvp(lambda q: function(v, q), (q_x,), (jnp.ones_like(q_x),))
        slope_v = jax.jvp(lambda v: function(v, q_x), (other,), (jnp.ones_like(v),))[1]
        return values, slope_q, slope_v

    def _distances(self, x: Array, p: Array, centre: Array) -> tuple[Array, Array]:
        """Mean squared distances ``(C, R)`` by a matrix product, and the pairs of which it leaves too few digits."""
        lengths = mean_square(x)[None] + mean_square(p)[:, None]
        x, p = x.real - centre, p.real - centre
        q = mean_square(x)[None] + mean_square(p)[:, None]
        v = jnp.maximum(q - (2 / x.shape[1]) * jnp.matmul(p, x.T, precision="highest"), 0)
        return v, near(v, q, lengths, self.scale)


def _exact(x: Array, p: Array) -> tuple[Array, Array]:
    """Means of ``(x - p)^2`` and ``(x - p) (x + p)`` for all pairs, ``(C, R)``, dimension by dimension."""
    columns = [(x[None, :, c], p[:, None, c]) for c in range(x.shape[1])]
    gaps = [(gap(a, b), (a + b).real) for a, b in columns]
    squares, crosses = zip(*((minus**2, minus * plus) for minus, plus in gaps), strict=True)
    return functools.reduce(jnp.add, squares) / x.shape[1], functools.reduce(jnp.add, crosses) / x.shape[1]


def _exact_by_chunks(x: Array, p: Array) -> tuple[Array, Array]:
    """The same where there are many dimensions, some at a time."""

    def add(total: tuple[Array, Array], part: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        return jax.tree.map(jnp.add, total, _exact(*part)), None

    zeros = jnp.zeros((len(p), len(x)), x.real.dtype)
    parts = _chunks(x), _chunks(p)
    total, _ = jax.lax.scan(add, (zeros, zeros), parts)
    v, difference = (array * (FEW / x.shape[1]) for array in total)
    return v, difference


def _chunks(x: Array) -> Array:
    """``(K, N, FEW)``: vectors in parts, filled up with zeros."""
    count = -(-x.shape[1] // FEW)
    filled = jnp.pad(x, ((0, 0), (0, count * FEW - x.shape[1])))
    return jnp.moveaxis(filled.reshape(len(x), count, FEW), 1, 0)


def _pulls(a: Array, x: Array, p: Array) -> Array:
    """``sum_p a (x - p)`` from exact differences, ``(d, R)``; a is ``(C, R)``."""
    return jnp.stack([jnp.sum(a * gap(x[None, :, c], p[:, None, c]), 0) for c in range(x.shape[1])])


def _exact_paired(x: Array, p: Array) -> tuple[Array, Array]:
    """The same for the pairs (x_i, p_i), ``(R,)``."""
    minus = gap(x, p)
    return jnp.mean(minus**2, 1), jnp.mean(minus * (x + p).real, 1)


def _each(w: Array, shape: tuple[int, int]) -> Array:
    """Weights of all pairs."""
    return jnp.broadcast_to(w[:, None] if w.ndim == 1 else w, shape)


def _take(side: Any, j: Array) -> Any:
    return jax.tree.map(lambda array: array[j], side)
