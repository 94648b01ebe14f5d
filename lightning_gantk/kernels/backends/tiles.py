"""Sizes of tiles, and loops over them that need no divisible counts."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Bytes that one array over the pairs of a tile may take.
CPU = 2 * 2**20  # what stays in a core's caches while a tile is worked on
GPU = 64 * 2**20


def even(count: int, most: int) -> tuple[int, int]:
    """The fewest tiles of at most ``most`` rows for ``count`` rows, as even as can be: (tiles, rows of each)."""
    tiles = max(1, math.ceil(count / max(1, most)))
    return tiles, math.ceil(count / tiles)


def fill(array: jax.Array, rows: int) -> jax.Array:
    """Copies of the first row up to ``rows`` rows, constants to a derivative; never zeros, where a kernel may have
    none.
    """
    missing = rows - len(array)
    if missing == 0:
        return array
    return jnp.concatenate([array, jnp.broadcast_to(jax.lax.stop_gradient(array[:1]), (missing, *array.shape[1:]))])


def split(array: jax.Array, tiles: int, rows: int) -> jax.Array:
    """``(tiles, rows, ...)``, filled up."""
    return fill(array, tiles * rows).reshape(tiles, rows, *array.shape[1:])


def split_weights(weights: jax.Array, tiles: int, rows: int) -> jax.Array:
    """``(tiles, rows)``, filled up with zeros: filling counts for nothing."""
    return jnp.pad(weights, (0, tiles * rows - len(weights))).reshape(tiles, rows)


def by_rows(function: Callable[[jax.Array], Any], x: jax.Array, most: int) -> Any:
    """Applies ``function`` to tiles of at most ``most`` rows of ``x`` and joins the results."""
    tiles, rows = even(len(x), most)
    if tiles == 1:
        return function(x)
    results = jax.lax.map(function, split(x, tiles, rows))
    return jax.tree.map(lambda r: r.reshape(tiles * rows, *r.shape[2:])[: len(x)], results)


def accumulate(function: Callable[[Any], Any], tiles: Any) -> Any:
    """The sum of ``function`` over the leading axis of ``tiles``."""
    first = jax.tree.map(lambda a: a[0], tiles)
    if jax.tree.leaves(tiles)[0].shape[0] == 1:
        return function(first)

    def add(total: Any, tile: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(tile)), None

    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, first))
    return jax.lax.scan(add, zeros, tiles)[0]


def pixels(images: jax.Array) -> jax.Array:
    """Images ``(N, H, W, C)`` as ``(C, H, W, N)``."""
    return jnp.moveaxis(images, (0, 3), (3, 0))
