"""Means over windows of images, as a convolution of many channels has them in its covariances."""

import math

import jax
import jax.numpy as jnp

Array = jax.Array


def box_mean(array: Array, size: int, stride: int) -> Array:
    """Means over ``size`` x ``size`` windows of the first two axes, 'SAME' with zeros outside.

    Sums of strided slices, one axis after the other: each is read once, where matrix products would turn the array.
    """
    for axis in (0, 1):
        length = array.shape[axis]
        count = math.ceil(length / stride)
        before = padding(length, count, size, stride)
        after = max((count - 1) * stride + size - length - before, 0)
        padded = jnp.pad(array, [(before, after) if i == axis else (0, 0) for i in range(array.ndim)])
        slices = [
            jax.lax.slice_in_dim(padded, start, start + (count - 1) * stride + 1, stride, axis) for start in range(size)
        ]
        array = sum(slices[1:], slices[0]) * (1 / size)
    return array


def padding(length: int, count: int, size: int, stride: int) -> int:
    """Zeros before the first of ``length`` pixels, for ``count`` windows: XLA's SAME."""
    return max((count - 1) * stride + size - length, 0) // 2
