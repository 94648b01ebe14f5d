"""Sums over kernels of vectors: what backends share that take distances from one matrix product for each tile."""

from abc import abstractmethod

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend

Array = jax.Array
FEW = 16  # dimensions up to which differences are taken one by one


class VectorBackend(Backend):
    """Distances come from inner products of samples about the place where the points lie."""

    grouped = True

    def gram(self, x: Array, y: Array) -> Array:
        x, y = flat(x), flat(y)
        centre = centre_of(y)
        rows, columns = self._tile(x, y)

        def against(x: Array) -> Array:  # (R, d) -> (R, M)
            return tiles.by_rows(lambda y: self._values(x, y, centre), y, columns).T

        return tiles.by_rows(against, x, rows)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        x, rows, parts, centre = self._tiled(x, points, weights)

        def of(x: Array) -> Array:
            return tiles.accumulate(lambda part: part[1] @ self._values(x, part[0], centre), parts)

        return tiles.by_rows(of, x, rows)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        vectors, rows, parts, centre = self._tiled(x, points, weights)
        values, gradient = tiles.by_rows(lambda x: self._values_and_gradient(x, parts, centre), vectors, rows)
        return values, gradient.reshape(x.shape)

    def _tiled(self, x: Array, points: Array, weights: Array) -> tuple[Array, int, tuple[Array, Array], Array]:
        """Vectors of x and how many of them at a time, tiles of points and of their weights, and the centre."""
        x, points = flat(x), flat(points)
        rows, columns = self._tile(x, points)
        count, each = tiles.even(len(points), columns)
        parts = tiles.split(points, count, each), tiles.split_weights(weights, count, each)
        return x, rows, parts, centre_of(points)

    @abstractmethod
    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        """Most rows of x and most points in one tile."""

    @abstractmethod
    def _values(self, x: Array, p: Array, centre: Array) -> Array:
        """Kernel values ``(C, R)`` of one tile."""

    @abstractmethod
    def _values_and_gradient(self, x: Array, parts: tuple[Array, Array], centre: Array) -> tuple[Array, Array]:
        """Scores (R,) and gradients (R, d) of some rows against tiles of points (T, C, d) and weights (T, C)."""


def flat(x: Array) -> Array:
    """Samples as vectors ``(N, d)``."""
    return x.reshape(len(x), -1)


def mean_square(x: Array) -> Array:
    """Means of squares over the coordinates, ``(N,)``."""
    return jnp.mean(x.real * x.real, 1)


def gap(a: Array, b: Array) -> Array:
    """``a - b`` of coordinates; where they are complex, with what rounding left out of them: see ``directions``."""
    minus = a - b
    return minus.real + minus.imag if jnp.iscomplexobj(minus) else minus


def centre_of(points: Array) -> Array:
    """A place in the middle of most points ``(d,)``: distances from there lose the fewest digits.

    That is a mean with weights. A sample that lies far out draws the plain mean towards itself, and away from all
    others; it has by far the largest product with that mean then, and little weight in this one.
    """
    points = points.real
    mean = jnp.mean(points, 0)
    pull = jnp.abs(jnp.matmul(points, mean, precision="highest"))
    ratio = pull / jnp.maximum(jnp.mean(pull), jnp.finfo(points.dtype).tiny)
    weights = 1 / (1 + ratio**4)
    return jax.lax.stop_gradient(jnp.matmul(weights / jnp.sum(weights), points, precision="highest"))
