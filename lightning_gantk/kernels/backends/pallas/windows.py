"""Means over windows inside a kernel, and their adjoint.

Maps are read pixel by pixel, each value a block ``(1, R)`` of pairs. Windows that overlap are summed at once, so that a
stripe of them works each pixel that it reads out once. Everything is in loops: a kernel holds the code of one pixel,
and no map as a whole.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends.pallas.arithmetic import contracted
from lightning_gantk.kernels.backends.pallas.chain import Maps, Window

Array = jax.Array


def means(
    window: Window,
    shape: tuple[int, int],
    at: Callable[[Array, Array], Maps],
    zeros: Maps,
    first: Array,
    count: int,
    put: Callable[[int, Array, Maps], None],
    *,
    interpret: bool,
) -> None:
    """Some rows of means over windows.

    Args:
        window: Size and stride.
        shape: (H, W) of the maps.
        at: Gives the maps at (row, column), finite numbers.
        zeros: What ``at`` gives, with zeros.
        first: The first row of the windows.
        count: How many rows.
        put: Takes which of the rows, a column, and the means. Columns may come twice, the last time is right.
        interpret: Whether it runs without a GPU.
    """
    size, stride = window.size, window.stride
    above, left = window.before(shape)
    add_times = contracted(lambda total, value, times: total + value * times, interpret=interpret)
    overlap = -(-size // stride)  # windows that hold a pixel, in one direction

    def plus(total: Maps, maps: Maps, where: Array) -> Maps:
        times = where.astype(jnp.float32)  # a product and a sum are one instruction, a choice and a sum are two
        return jax.tree.map(lambda a, b: add_times(a, b, times), total, maps)

    def add_column(open_windows: list[list[Maps]], column: Array, offset: Array) -> list[list[Maps]]:
        """Adds a column to the windows that hold it: of each row of windows the next, and those after it."""
        beside = (column >= 0) & (column < shape[1])

        def add_pixel(i: Array, totals: list[Maps]) -> list[Maps]:
            row = first * stride - above + i
            inside = beside & (row >= 0) & (row < shape[0])
            maps = at(jnp.clip(row, 0, shape[0] - 1), jnp.clip(column, 0, shape[1] - 1))
            return [
                plus(total, maps, inside & (i >= r * stride) & (i < r * stride + size))
                for r, total in enumerate(totals)
            ]

        totals = jax.lax.fori_loop(0, (count - 1) * stride + size, add_pixel, [zeros] * count)
        return [
            [plus(sums, total, offset >= m * stride) for m, sums in enumerate(row)]
            for row, total in zip(open_windows, totals, strict=True)
        ]

    def step(i: Array, open_windows: list[list[Maps]]) -> list[list[Maps]]:
        column = i - (overlap - 1)  # windows before the first fill what overlaps with it

        def add(j: Array, open_windows: list[list[Maps]]) -> list[list[Maps]]:
            offset = size - stride + j
            return add_column(open_windows, column * stride - left + offset, offset)

        open_windows = jax.lax.fori_loop(0, stride, add, open_windows)
        for r, row in enumerate(open_windows):
            put(r, jnp.maximum(column, 0), jax.tree.map(lambda total: total * (1 / size**2), row[0]))
        return [[*row[1:], zeros] for row in open_windows]

    start = [[zeros] * overlap for _ in range(count)]
    jax.lax.fori_loop(0, window.shape(shape)[1] + overlap - 1, step, start)


def spread(
    window: Window,
    shape: tuple[int, int],
    maps: Maps,
    row: Array,
    column: Array,
    at: Any,
    count: int = 1,
    *,
    interpret: bool,
) -> list[Maps]:
    """The adjoint of the means at some pixels of a row: what all windows that hold one have for it.

    Args:
        window: Size and stride.
        shape: (H, W) of the maps that windows are over.
        maps: References to the adjoints of the means, finite numbers.
        row: Of the pixels.
        column: Of the first pixel.
        at: The block of pairs, for the last two axes.
        count: How many pixels.
        interpret: Whether it runs without a GPU.
    """
    (above, left), (height, width) = window.before(shape), window.shape(shape)
    overlap = range(-(-window.size // window.stride))
    weighted = contracted(
        lambda parts: sum(a * b for a, b in parts[1:]) + parts[0][0] * parts[0][1], interpret=interpret
    )

    def held(place: Array, i: int, windows: int) -> tuple[Array, Array]:
        """The i-th last window that starts at a pixel or before it, and its weight: 0 where it does not hold it."""
        last = place // window.stride
        holds = (last >= i) & (last - i < windows) & (place - (last - i) * window.stride < window.size)
        return jnp.clip(last - i, 0, windows - 1), holds.astype(jnp.float32) * (1 / window.size)

    rows = [held(row + above, i, height) for i in overlap]

    def of(ref: Any) -> list[Array]:
        sums: dict[Any, Array] = {}  # by column of windows; pixels side by side share them where the stride is 1

        def column_sum(d: int, i: int) -> tuple[Array, Array]:
            key = d - i if window.stride == 1 else (d, i)
            j, weight = held(column + d + left, i, width)
            if key not in sums:
                sums[key] = weighted([(ref[(k, j, *at)], of_row) for k, of_row in rows])
            return sums[key], weight

        return [weighted([column_sum(d, i) for i in overlap]) for d in range(count)]

    found = {name: of(ref) for name, ref in maps.items()}
    return [{name: values[d] for name, values in found.items()} for d in range(count)]
