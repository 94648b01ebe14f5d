"""Products with a kernel that depends on vectors through inner products: two matrix products and one pass over pairs.

With F(v, q_x) the kernel of a pair at mean squared distance v, ``s(x) = sum_p w_p F`` and

    ds/dx = 2/d sum_p w_p (F_v (x - p) + F_q x).

Distances come from a matrix product of centred samples, which leaves no digits where a pair is much closer than the
samples are long, and there a ReLU-type kernel has its cusp. Such pairs are found, left out of the tile, and put back
from exact differences, one for each test point and turn: in training that is every fake against itself, one turn.
In few dimensions every difference is exact and as cheap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from lightning_gantk.kernels import tiles
from lightning_gantk.kernels.inner_products import InnerProducts, centre_of, flat

Array = jax.Array
FEW = 16  # dimensions up to which differences are taken one by one
# v / (q_x + q_p) of centred samples below which a matrix product leaves v fewer than 4 digits in float32, 8 in float64.
NEAR = {"float32": 1e-3, "float64": 1e-8}
# The same where the samples are far from 0: below it the difference of two lengths has fewer than 4 (8) digits.
CLOSE = {"float32": 1e-6, "float64": 1e-15}
_ROWS = 256  # rows of a tile on the CPU: enough for a matrix product at full speed


@dataclass(frozen=True)
class VectorProducts(InnerProducts):
    """Products with a kernel of distances.

    Attributes:
        marginals: ``q (N,) -> `` what pairs need of N samples, a pytree of ``(N,)`` arrays.
        kernel: ``kernel(v, difference, x, p, paired=...)`` as in ``recursions.Recursion.kernel``.
        kinked: Whether the kernel has a cusp at equal samples.
    """

    marginals: Callable[[Array], Any]
    kernel: Callable[..., Array]
    kinked: bool
    name: ClassVar[str] = "own recursion in JAX, by inner products"

    def pullback(self, x: Array, y: Array, cotangent: Array) -> Array:
        """``sum_j cotangent_ij dk(x_i, y_j)/dx_i`` of a Gram matrix ``(N, M)``, in the shape of x."""
        vectors, y = flat(x), flat(y)
        centre = centre_of(y)
        rows = max(1, tiles.GIVEN_BUDGET // (16 * x.dtype.itemsize * len(y)))
        count, each = tiles.even(len(x), rows)

        def of(tile: tuple[Array, Array]) -> Array:
            x, weights = tile
            _, slope_q, gradient = self._sums(x, y, weights.T, centre)
            return (2 / x.shape[1]) * (gradient + slope_q[:, None] * x)

        parts = tiles.split(vectors, count, each), tiles.split(cotangent, count, each)
        return jax.lax.map(of, parts).reshape(count * each, -1)[: len(x)].reshape(x.shape)

    @staticmethod
    def _tile(x: Array, points: Array) -> tuple[int, int]:
        pairs = tiles.array_budget() // x.dtype.itemsize
        rows = min(len(x), _ROWS if pairs <= 4 * _ROWS**2 * 4 else int(pairs**0.5))
        return rows, max(1, min(len(points), pairs // max(rows, 1)))

    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        values, slope_q, gradient = tiles.accumulate(lambda part: self._sums(x, *part, centre), parts)
        return values, (2 / x.shape[1]) * (gradient + slope_q[:, None] * x)

    def _values(self, x: Array, p: Array, centre: Array) -> Array:
        side_x, side_p = (self.marginals(mean_square(s)) for s in (x, p))
        if x.shape[1] <= FEW:
            return self.kernel(*_exact(x, p), side_x, side_p)
        v, near = self._distances(x, p, centre)
        values = self.kernel(v, None, side_x, side_p)
        if not self.kinked:
            return values

        return self.put_back_values(near, values, x, p)

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
            gradient = [jnp.sum(a * (x[None, :, c] - p[:, None, c]), 0) for c in range(x.shape[1])]
            return jnp.sum(w * values, 0), jnp.sum(w * slope_q, 0), jnp.stack(gradient, 1)
        v, near = self._distances(x, p, centre)
        near &= w != 0
        weights = jnp.where(near, 0, w) if self.kinked else w
        values, slope_q, slope_v = self._derivatives(v, None, q_x, side_p)
        a = slope_v * weights
        moved = jnp.matmul(a.T, p - centre, precision="highest")
        gradient = jnp.sum(a, 0)[:, None] * (x - centre) - moved
        # Both sums in one complex number: XLA's CPU backend runs through all the arithmetic once for each output.
        both = jnp.sum(jax.lax.complex(values * weights, slope_q * weights), 0)
        sums = both.real, both.imag, gradient
        if not self.kinked:
            return sums

        return self.put_back_sums(near, sums, x, p, w)

    def put_back_values(self, near: Array, values: Array, x: Array, p: Array) -> Array:
        """Kernel values ``(C, R)`` with those of the pairs marked in ``near`` from exact differences."""
        side_x, side_p = (self.marginals(mean_square(s)) for s in (x, p))
        columns = jnp.arange(len(x))

        def put_back(j: Array, has: Array, values: Array) -> Array:
            exact = self.kernel(*_exact_paired(x, p[j]), side_x, _take(side_p, j), paired=True)
            return values.at[j, columns].set(jnp.where(has, exact, values[j, columns]))

        return _one_by_one(near, put_back, values)

    def put_back_sums(
        self, near: Array, sums: tuple[Array, Array, Array], x: Array, p: Array, w: Array
    ) -> tuple[Array, Array, Array]:
        """The sums of ``_sums`` with the pairs marked in ``near`` (C, R) added, from exact differences."""
        q_x, side_p, columns = mean_square(x), self.marginals(mean_square(p)), jnp.arange(len(x))
        w = _each(w, near.shape)

        def put_back(j: Array, has: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            wj, pj = jnp.where(has, w[j, columns], 0), p[j]
            v, difference = _exact_paired(x, pj)
            found = self._derivatives(v, difference, q_x, _take(side_p, j), paired=True)
            values, slope_q, slope_v = (f * wj for f in found)
            return sums[0] + values, sums[1] + slope_q, sums[2] + slope_v[:, None] * (x - pj)

        return _one_by_one(near, put_back, sums)

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
        """Mean squared distances ``(C, R)`` by a matrix product, and where it leaves too few digits of them."""
        lengths = mean_square(x)[None] + mean_square(p)[:, None]
        x, p = x - centre, p - centre
        q = mean_square(x)[None] + mean_square(p)[:, None]
        v = jnp.maximum(q - (2 / x.shape[1]) * jnp.matmul(p, x.T, precision="highest"), 0)
        return v, v < jnp.maximum(NEAR[x.dtype.name] * q, CLOSE[x.dtype.name] * lengths)


def _one_by_one(near: Array, put_back: Callable, state: Any) -> Any:
    """Calls ``put_back(j, has, state)`` with one near point j (R,) of each test point, until none is left."""
    rows = jnp.arange(near.shape[0])[:, None]

    def step(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        left, state = carry
        j = jnp.argmax(left, 0)
        return left & (rows != j), put_back(j, jnp.any(left, 0), state)

    return jax.lax.while_loop(lambda carry: jnp.any(carry[0]), step, (near, state))[1]


def _exact(x: Array, p: Array) -> tuple[Array, Array]:
    """Means of ``(x - p)^2`` and ``(x - p) (x + p)`` for all pairs, ``(C, R)``, dimension by dimension."""
    columns = [(x[None, :, c], p[:, None, c]) for c in range(x.shape[1])]
    v = sum((a - b) ** 2 for a, b in columns) / x.shape[1]
    return v, sum((a - b) * (a + b) for a, b in columns) / x.shape[1]


def _exact_paired(x: Array, p: Array) -> tuple[Array, Array]:
    """The same for the pairs (x_i, p_i), ``(R,)``."""
    difference = x - p
    return jnp.mean(difference**2, 1), jnp.mean(difference * (x + p), 1)


def _each(w: Array, shape: tuple[int, int]) -> Array:
    """Weights of all pairs."""
    return jnp.broadcast_to(w[:, None] if w.ndim == 1 else w, shape)


def mean_square(x: Array) -> Array:
    """Means of squares over the coordinates, ``(N,)``."""
    return jnp.mean(x * x, 1)


def _take(side: Any, j: Array) -> Any:
    return jax.tree.map(lambda array: array[j], side)
