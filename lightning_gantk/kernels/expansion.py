"""A kernel expansion s(x) = sum_p k(x, p) w_p: its values, its gradient, and the Gram matrix of its points.

Nothing of size N x P is held for s(x): memory is that of one tile. Who computes depends on the kernel, the samples and
where they are, see ``backends``.
"""

import functools
import itertools
import logging

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.autodiff import Autodiff
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.platforms import by_platform
from lightning_gantk.kernels.base import Kernel

log = logging.getLogger(__name__)
_LARGE_BLOCK = 2048  # rows of a block of the Gram matrix on a GPU


def backend_of(kernel: Kernel, x: jax.Array) -> Backend:
    """The backend for a kernel and samples like ``x``."""
    backend = kernel.backend(x.shape[1:], x.dtype.name) or Autodiff(kernel)
    log.debug("%r on samples of shape %s in %s: %s.", kernel, x.shape[1:], x.dtype.name, backend.name)
    return backend


def scores(
    kernel: Kernel,
    x: Float[Array, "N ..."],
    points: Float[Array, "P ..."],
    weights: Float[Array, " P"],
    first: int | None = None,
) -> Float[Array, " N"]:
    """``s(x) = sum_p k(x, p) w_p``.

    Args:
        kernel: The kernel.
        x: Test points, images as ``(N, H, W, C)``.
        points: Training points.
        weights: Dual weights.
        first: How many of the points form a first group (the fakes), where they are two: precision gains from it.

    Returns:
        Scores.
    """
    backend = backend_of(kernel, x)
    return functools.reduce(jnp.add, [backend.scores(x, *group) for group in backend.groups(points, weights, first)])


def scores_and_gradient(
    kernel: Kernel,
    x: Float[Array, "N ..."],
    points: Float[Array, "P ..."],
    weights: Float[Array, " P"],
    first: int | None = None,
) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
    """``s(x)`` and ``ds(x_i)/dx_i``; arguments as for ``scores``, the gradient in the shape of ``x``."""
    return backend_of(kernel, x).of_groups(x, points, weights, first)


def scores_and_gradient_at_points(
    kernel: Kernel,
    points: Float[Array, "P ..."],
    weights: Float[Array, " P"],
    first: int,
    start: int | jax.Array = 0,
    count: int | None = None,
) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
    """The same at the first group of the points themselves, or at ``count`` of it from ``start`` on."""
    if count is not None:  # those that are asked for come first
        points, weights = (
            jnp.concatenate([jnp.roll(array[:first], -start, 0), array[first:]]) for array in (points, weights)
        )
    backend = backend_of(kernel, points)
    return backend.of_groups_at_points(points, weights, first, first if count is None else count)


def gram(kernel: Kernel, points: Float[Array, "P ..."]) -> Float[Array, "P P"]:
    """The symmetric Gram matrix of the training points, each pair of blocks computed once."""
    backend = backend_of(kernel, points)
    small, large = (lambda p, way=way: way(backend, p) for way in (_gram_in_blocks, _gram_in_large_blocks))
    return by_platform(cpu=small, other=large)(points)


def _gram_in_blocks(backend: Backend, points: Array) -> Array:
    count, rows = tiles.even(len(points), backend.block)
    if count == 1:
        return backend.symmetric_gram(points)
    blocks = tiles.split(points, count, rows)

    def put(matrix: Array, block: Array, i: Array, j: Array) -> Array:
        return jax.lax.dynamic_update_slice(matrix, block, (i * rows, j * rows))

    def diagonal(matrix: Array, i: Array) -> tuple[Array, None]:
        return put(matrix, backend.symmetric_gram(blocks[i]), i, i), None

    def above(matrix: Array, pair: Array) -> tuple[Array, None]:
        i, j = pair
        block = backend.gram(blocks[i], blocks[j])
        return put(put(matrix, block, i, j), block.T, j, i), None

    matrix = jnp.zeros((count * rows, count * rows), points.dtype)
    matrix, _ = jax.lax.scan(diagonal, matrix, jnp.arange(count))
    matrix, _ = jax.lax.scan(above, matrix, jnp.array(list(itertools.combinations(range(count), 2))))
    return matrix[: len(points), : len(points)]


def _gram_in_large_blocks(backend: Backend, points: Array) -> Array:
    """As a GPU likes them, in a matrix no larger than asked for: the last block starts where it just fits in."""
    size = len(points)
    count, rows = tiles.even(size, max(backend.block, _LARGE_BLOCK))
    if count == 1:
        return backend.symmetric_gram(points)
    starts = [min(i * rows, size - rows) for i in range(count)]

    def block(start: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(points, start, rows)

    def above(matrix: Array, pair: Array) -> tuple[Array, None]:
        i, j = pair
        values = backend.gram(block(i), block(j))
        matrix = jax.lax.dynamic_update_slice(matrix, values, (i, j))
        return jax.lax.dynamic_update_slice(matrix, values.T, (j, i)), None

    def diagonal(matrix: Array, i: Array) -> tuple[Array, None]:
        return jax.lax.dynamic_update_slice(matrix, backend.symmetric_gram(block(i)), (i, i)), None

    matrix = jnp.zeros((size, size), points.dtype)
    matrix, _ = jax.lax.scan(above, matrix, jnp.array(list(itertools.combinations(starts, 2))))
    # These come last: what the last two blocks have in common is symmetric in them alone.
    return jax.lax.scan(diagonal, matrix, jnp.array(starts))[0]
