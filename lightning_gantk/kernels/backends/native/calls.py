"""Calls of the native library, and arrays as it has them: blocks of lanes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles

Array = jax.Array
LANES = 16  # of lanes.h
PARTS = 8  # pieces of work per call, at least; several per core, so that all end together
_WIDE = 16  # blocks of lanes that vectors are worked on in: 256 test points


def call(name: str, results: Any, *arguments: Array, **attributes: Any) -> Any:
    """Calls a function of the library."""
    return jax.ffi.ffi_call(f"lightning_gantk_{name}", results)(*arguments, **attributes)


def shape(*lengths: int) -> jax.ShapeDtypeStruct:
    """The shape of a result."""
    return jax.ShapeDtypeStruct(lengths, jnp.float32)


def sum_of(parts: Array) -> Array:
    """The sum of a few large arrays, one by one: XLA's sum over a short leading axis takes twenty times as long."""
    return functools.reduce(jnp.add, [parts[i] for i in range(len(parts))])


def blocks_wide(count: int, most: int = _WIDE) -> int:
    """Blocks of lanes that so many vectors are worked on in at once."""
    return max(1, min(most, -(-count // LANES)))


def filled(x: Array, wide: int) -> Array:
    """Samples filled up to whole blocks; ``wide`` is 0 for images."""
    lanes = max(wide, 1) * LANES
    return tiles.fill(x, -(-len(x) // lanes) * lanes)


def to_blocks(array: Array, wide: int) -> Array:
    """``(..., N)`` as ``(B, ..., lanes)``."""
    lanes = max(wide, 1) * LANES
    return jnp.moveaxis(array.reshape(*array.shape[:-1], -1, lanes), -2, 0)
