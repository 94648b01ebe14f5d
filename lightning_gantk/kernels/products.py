"""The hot primitive: s(x) = sum_p k(x, p) w_p with its gradient in x, and Gram matrices, tile by tile.

Nothing of size N x P is held for s(x): memory is that of one tile. Which engine works depends on the kernel, the
samples and the device, see ``engine``; ``Differentiated`` here takes any kernel.
"""

import itertools
import logging
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lightning_gantk.kernels import tiles
from lightning_gantk.kernels.base import Kernel, Products

log = logging.getLogger(__name__)


def engine(kernel: Kernel, x: jax.Array) -> Products:
    """The engine for a kernel and samples like ``x``."""
    found = kernel.products(x.shape[1:], x.dtype.name) or Differentiated(kernel)
    log.debug("%r on samples of shape %s in %s: %s.", kernel, x.shape[1:], x.dtype.name, found.name)
    return found


def scores(kernel: Kernel, x: jax.Array, points: jax.Array, weights: jax.Array, first: int | None = None) -> jax.Array:
    """``s(x) = sum_p k(x, p) w_p``.

    Args:
        kernel: The kernel.
        x: Test points ``(N, ...)``, images as ``(N, H, W, C)``.
        points: Training points ``(P, ...)``.
        weights: Dual weights ``(P,)``.
        first: How many of the points form a first group (the fakes), where they are two: precision gains from it.

    Returns:
        Scores ``(N,)``.
    """
    found = engine(kernel, x)
    return sum(found.scores(x, *group) for group in _groups(found, points, weights, first))


def scores_and_gradient(
    kernel: Kernel, x: jax.Array, points: jax.Array, weights: jax.Array, first: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """``s(x)`` and ``ds(x_i)/dx_i``; arguments as for ``scores``, the gradient in the shape of ``x``."""
    found = engine(kernel, x)
    return _total([found.scores_and_gradient(x, *group) for group in _groups(found, points, weights, first)])


def scores_and_gradient_at_points(
    kernel: Kernel, points: jax.Array, weights: jax.Array, first: int
) -> tuple[jax.Array, jax.Array]:
    """The same at the first group of the points themselves, whose pairs with each other count for both."""
    found = engine(kernel, points)
    own, *others = _groups(found, points, weights, first)
    parts = [found.scores_and_gradient(points[:first], *group) for group in others]
    return _total([found.scores_and_gradient_at_points(*own, first), *parts])


def gram(kernel: Kernel, points: jax.Array) -> jax.Array:
    """The symmetric Gram matrix ``(P, P)`` of the training points ``(P, ...)``, each pair of blocks computed once."""
    found = engine(kernel, points)
    count, rows = tiles.even(len(points), found.block)
    if count == 1:
        return found.symmetric(points)
    blocks = tiles.split(points, count, rows)

    def put(matrix: jax.Array, block: jax.Array, i: jax.Array, j: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice(matrix, block, (i * rows, j * rows))

    def diagonal(matrix: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
        return put(matrix, found.symmetric(blocks[i]), i, i), None

    def above(matrix: jax.Array, pair: jax.Array) -> tuple[jax.Array, None]:
        i, j = pair
        block = found.gram(blocks[i], blocks[j])
        return put(put(matrix, block, i, j), block.T, j, i), None

    matrix = jnp.zeros((count * rows, count * rows), points.dtype)
    matrix, _ = jax.lax.scan(diagonal, matrix, jnp.arange(count))
    matrix, _ = jax.lax.scan(above, matrix, jnp.array(list(itertools.combinations(range(count), 2))))
    return matrix[: len(points), : len(points)]


@dataclass(frozen=True)
class Differentiated(Products):
    """Any kernel, called on tiles of rows and differentiated by JAX.

    The gradient of s(x_i) depends on x_i alone: one pullback of the sum gives every sample's, together with the values.

    Attributes:
        kernel: The kernel.
    """

    kernel: Kernel
    name: ClassVar[str] = "differentiated by JAX"

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return tiles.by_rows(lambda tile: self.kernel(tile, y), x, self._rows(x, len(y)))

    def scores(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
        return tiles.by_rows(lambda tile: self.kernel(tile, points) @ weights, x, self._rows(x, len(points)))

    def scores_and_gradient(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one_tile(tile: jax.Array) -> tuple[jax.Array, jax.Array]:
            values, pullback = jax.vjp(lambda t: self.kernel(t, points) @ weights, tile)
            return values, pullback(jnp.ones_like(values))[0]

        return tiles.by_rows(one_tile, x, self._rows(x, len(points)))

    def _rows(self, x: jax.Array, count: int) -> int:
        """Rows of one tile against ``count`` points within the budget."""
        shape = (x.shape[-1], *x.shape[1:-1])  # the kernel speaks of (C, H, W)
        return max(1, tiles.GIVEN_BUDGET // (count * self.kernel.floats_per_pair(shape) * x.dtype.itemsize))


def _total(parts: list[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    return sum(value for value, _ in parts), sum(gradient for _, gradient in parts)


def _groups(
    found: Products, points: jax.Array, weights: jax.Array, first: int | None
) -> list[tuple[jax.Array, jax.Array]]:
    if not found.centred or not first or first == len(points):
        return [(points, weights)]
    return [(points[:first], weights[:first]), (points[first:], weights[first:])]
