"""Calls of the native library, and arrays as it has them: blocks of lanes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.native import library

Array = jax.Array
PARTS = 8  # pieces of work per call, at least; several per core, so that all end together
NARROW = 64  # test points of a block of vectors where pairs of different blocks are worked out once
_WIDE = 256  # of one where each pair is worked out by itself


def call(name: str, results: Any, *arguments: Array, **attributes: Any) -> Any:
    """Calls a function of the library."""
    return jax.ffi.ffi_call(f"lightning_gantk_{name}", results)(*arguments, **attributes)


def shape(*lengths: int) -> jax.ShapeDtypeStruct:
    """The shape of a result."""
    return jax.ShapeDtypeStruct(lengths, jnp.float32)


def sum_of(parts: Array) -> Array:
    """The sum of a few large arrays, one by one: XLA's sum over a short leading axis takes twenty times as long."""
    return functools.reduce(jnp.add, [parts[i] for i in range(len(parts))])


def lanes() -> int:
    """How many numbers the library works on at once: as many as the processor does."""
    return library.load().gantk_lanes()


def blocks_wide(count: int, *, symmetric: bool) -> int:
    """Blocks of lanes that so many vectors are worked on in at once."""
    return max(1, min((NARROW if symmetric else _WIDE) // lanes(), -(-count // lanes())))


def filled(x: Array, wide: int) -> Array:
    """Samples filled up to whole blocks; ``wide`` is 0 for images."""
    block = max(wide, 1) * lanes()
    return tiles.fill(x, -(-len(x) // block) * block)


def to_blocks(array: Array, wide: int) -> Array:
    """``(..., N)`` as ``(B, ..., lanes)``."""
    block = max(wide, 1) * lanes()
    return jnp.moveaxis(array.reshape(*array.shape[:-1], -1, block), -2, 0)
