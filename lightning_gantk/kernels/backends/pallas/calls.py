"""Calls of Pallas kernels: by Triton on a GPU, interpreted elsewhere."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas
from jax.experimental.pallas import triton

Array = jax.Array


def call(
    kernel: Callable[..., None],
    results: Any,
    *arguments: Any,
    name: str,
    grid: tuple[int, ...],
    interpret: bool,
    warps: int = 4,
) -> Any:
    """Runs a kernel that reads and writes whole arrays by their references.

    Args:
        kernel: Given the references of arguments and results, in their order.
        results: Shapes and dtypes, a pytree.
        *arguments: Pytrees of arrays.
        name: For profiles.
        grid: Programs.
        interpret: Whether it runs without a GPU, slowly.
        warps: Of each program.
    """
    parameters = triton.CompilerParams(num_warps=warps, num_stages=1)
    function = pallas.pallas_call(
        kernel, out_shape=results, grid=grid, interpret=interpret, compiler_params=parameters, name=name
    )
    return function(*arguments)


def shape(*lengths: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """The shape of a result."""
    return jax.ShapeDtypeStruct(lengths, dtype)


def up_to(count: int, multiple: int) -> int:
    """The next multiple."""
    return -(-count // multiple) * multiple


def lanes(count: int, *, least: int, most: int) -> int:
    """The power of 2 that so many samples are worked on by."""
    return min(most, max(least, 1 << (max(count, 1) - 1).bit_length()))


def pad(array: Array, length: int, axis: int = 0) -> Array:
    """Zeros up to a length."""
    missing = length - array.shape[axis]
    return jnp.pad(array, [(0, missing if i == axis else 0) for i in range(array.ndim)]) if missing else array


load, store = triton.load, triton.store
