"""The hot primitive: s(x) = sum_p k(x, p) w_p with its gradient in x, and Gram matrices, tile by tile.

Rows of x are worked on in tiles, so that memory is that of one tile and not of the whole matrix. The gradient of s(x_i)
depends on x_i alone: one pullback of the sum gives every sample's gradient together with the values.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel

BUDGET = 512 * 2**20  # bytes of working memory for one tile


def scores(kernel: Kernel, x: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
    """``s(x) = sum_p k(x, p) w_p``.

    Args:
        kernel: The kernel.
        x: Test points ``(N, ...)``, images as ``(N, H, W, C)``.
        points: Training points ``(P, ...)``.
        weights: Dual weights ``(P,)``.

    Returns:
        Scores ``(N,)``.
    """
    return _by_rows(lambda tile: kernel(tile, points) @ weights, x, _rows(kernel, x, len(points)))


def scores_and_gradient(
    kernel: Kernel, x: jax.Array, points: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """``s(x)`` and ``ds(x_i)/dx_i``; arguments as for ``scores``, the gradient in the shape of ``x``."""

    def one_tile(tile: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pullback = jax.vjp(lambda t: kernel(t, points) @ weights, tile)
        return values, pullback(jnp.ones_like(values))[0]

    return _by_rows(one_tile, x, _rows(kernel, x, len(points)))


def gram(kernel: Kernel, points: jax.Array) -> jax.Array:
    """The symmetric Gram matrix ``(P, P)`` of the training points ``(P, ...)``."""
    matrix = _by_rows(lambda tile: kernel(tile, points), points, _rows(kernel, points, len(points)))
    return (matrix + matrix.T) / 2


def _rows(kernel: Kernel, x: jax.Array, count: int) -> int:
    """Rows of one tile against ``count`` points within the budget."""
    shape = (x.shape[-1], *x.shape[1:-1])  # the kernel speaks of (C, H, W)
    bytes_per_row = count * kernel.floats_per_pair(shape) * x.dtype.itemsize
    return max(1, BUDGET // bytes_per_row)


def _by_rows(function: Callable, x: jax.Array, rows: int) -> jax.Array | tuple[jax.Array, ...]:
    """Applies ``function`` to tiles of at most ``rows`` rows of ``x`` and joins the results."""
    count = len(x)
    if count <= rows:
        return function(x)
    tiles = math.ceil(count / rows)
    rows = math.ceil(count / tiles)
    # Filled up with copies of the first row, never with zeros, where a kernel may have no derivative.
    filled = jnp.concatenate([x, jnp.broadcast_to(x[:1], (tiles * rows - count, *x.shape[1:]))])
    results = jax.lax.map(function, filled.reshape(tiles, rows, *x.shape[1:]))
    return jax.tree.map(lambda r: r.reshape(tiles * rows, *r.shape[2:])[:count], results)
