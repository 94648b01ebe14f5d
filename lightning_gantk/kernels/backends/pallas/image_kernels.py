"""What GPU programs do with blocks of pairs of images: forward through a window, back, and the gradient in the pixels.

``images`` says how they follow each other. Every reference is to a whole array.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas

from lightning_gantk.kernels.backends.pallas.arithmetic import contracted
from lightning_gantk.kernels.backends.pallas.calls import store
from lightning_gantk.kernels.backends.pallas.chain import Chain, Exact, Maps, Window
from lightning_gantk.kernels.backends.pallas.windows import means, spread
from lightning_gantk.kernels.recursions import Tape

Array = jax.Array


def forward(
    chain: Chain,
    stage: int,
    shape: tuple[int, int],
    block: tuple[int, int],
    rows: int,
    interpret: bool,
    refs: Any,
    out: Any,
) -> None:
    """Some rows of maps after a window, of a block ``(C, R)`` of pairs."""
    high, wide = block
    at = pallas.ds(pallas.program_id(2) * high, high), pallas.ds(pallas.program_id(1) * wide, wide)
    first = pallas.program_id(0) * rows

    through = contracted(functools.partial(chain.through, stage - 1), interpret=interpret)

    def pixel(i: Array, j: Array) -> Maps:
        if stage:
            maps, x, p = refs
            return through(_read(maps, i, j, *at), _of_test(x, i, j, at[1]), _of_training(p, i, j, at[0]))
        x, p = refs
        return contracted(_distance, interpret=interpret)(_gaps(x, p, at, i, j))

    def put(row: int, column: Array, maps: Maps) -> None:
        for name, ref in out.items():
            ref[first + row, column, *at] = maps[name]

    zeros = dict.fromkeys(out, jnp.zeros(block, jnp.float32))
    means(chain.windows[stage], shape, pixel, zeros, first, rows, put, interpret=interpret)


def _distance(gaps: list[tuple[Array, Array]]) -> Maps:
    """The mean of ``(x - p)^2`` over the channels."""
    return {"v": functools.reduce(jnp.add, [(a - b) ** 2 for a, b in gaps]) * (1 / len(gaps))}


def backward(
    chain: Chain,
    stage: int,
    shape: tuple[int, int],
    wide: int,
    points: int,
    moving: list[bool],
    interpret: bool,
    refs: Any,
    out: Any,
    sums: Any,
) -> None:
    """The adjoint of some pixels of kept maps, all in the same windows, of some training points."""
    place, part, of_x = pallas.program_id(0), pallas.program_id(2), pallas.ds(pallas.program_id(1) * wide, wide)
    window = chain.windows[stage + 1]
    row, group = place // window.groups(shape[1]), place % window.groups(shape[1])
    first = group * window.together - window.before(shape)[1]
    columns = [first + d for d in range(window.together)]
    inside = [jnp.full((1, wide), (column >= 0) & (column < shape[1])) for column in columns]
    columns = [jnp.clip(column, 0, shape[1] - 1) for column in columns]
    kept, kept_bars, of_x_side, of_p_side = refs
    sides = [_of_test(of_x_side, row, column, of_x) for column in columns]
    form = jax.tree.structure(sides[0][0])

    def pulled(bars: Maps, maps: Maps, x: tuple[Tape, Exact], p: Any) -> tuple[Maps, list[Array]]:
        leaves, exact = jax.tree.leaves(x[0]), x[1]

        def function(maps: Maps, moved: list[Array]) -> Maps:
            rest = list(moved)
            tape = [rest.pop(0) if moves else leaf for leaf, moves in zip(leaves, moving, strict=True)]
            return chain.through(stage, maps, (jax.tree.unflatten(form, tape), exact), p)

        moved = [leaf for leaf, moves in zip(leaves, moving, strict=True) if moves]
        return jax.vjp(function, maps, moved)[1](bars)

    def point(i: Array, totals: list[list[Array]]) -> list[list[Array]]:
        at = pallas.ds(part * points + i, 1), of_x
        (bars,) = spread(window, shape, kept_bars, row, first, at, interpret=interpret)
        found = []
        for column, where, side, of_pixel in zip(columns, inside, sides, totals, strict=True):
            maps, p = _read(kept, row, column, *at), _of_training(of_p_side, row, column, at[0])
            of_maps, of_tape = contracted(pulled, interpret=interpret)(bars, maps, side, p)
            for name, ref in out.items():
                store(ref.at[row, column, *at], of_maps[name], mask=where)
            found.append([total + value for total, value in zip(of_pixel, of_tape, strict=True)])
        return found

    zeros = [jnp.zeros((1, wide), jnp.float32) for _ in sums]
    totals = jax.lax.fori_loop(0, points, point, [zeros for _ in columns])
    for column, where, of_pixel in zip(columns, inside, totals, strict=True):
        for ref, total in zip(sums, of_pixel, strict=True):
            store(ref.at[part, row, pallas.ds(column, 1), of_x], total, mask=where)


def direct(window: Window, wide: int, points: int, span: int, interpret: bool, refs: Any, out: Any) -> None:
    """Some pixels of the gradient by distances, of some training points."""
    bar, x, p = refs
    part, of_x = pallas.program_id(2), pallas.ds(pallas.program_id(1) * wide, wide)
    channels, height, width = x.shape[:3]
    first = pallas.program_id(0) * span
    row, column = first // width, first % width

    def add(totals: list[Array], slope: Array, gaps: list[tuple[Array, Array]]) -> list[Array]:
        return [total + slope * (a - b) for total, (a, b) in zip(totals, gaps, strict=True)]

    def point(i: Array, totals: list[list[Array]]) -> list[list[Array]]:
        at = pallas.ds(part * points + i, 1), of_x
        slopes = spread(window, (height, width), {"v": bar}, row, column, at, span, interpret=interpret)
        return [
            contracted(add, interpret=interpret)(of_pixel, slope["v"], _gaps(x, p, at, row, column + d))
            for d, (of_pixel, slope) in enumerate(zip(totals, slopes, strict=True))
        ]

    zeros = jnp.zeros((1, wide), jnp.float32)
    totals = jax.lax.fori_loop(0, points, point, [[zeros] * channels for _ in range(span)])
    for d, of_pixel in enumerate(totals):
        for c, total in enumerate(of_pixel):
            out[part, c, row, pallas.ds(column + d, 1), of_x] = total * (2 / channels)


def _read(refs: Any, *place: Any) -> Any:
    return jax.tree.map(lambda ref: ref[place], refs)


def _of_test(refs: Any, *place: Any) -> Any:
    """What some test points have of a pixel, ``(1, R)``; place: (channel,) row, column, points.

    Read with two axes: Triton lays sums that a loop carries out as it does blocks that are read so, and would turn
    everything in the loop otherwise, through shared memory.
    """
    *before, column, at = place
    return _read(refs, *before, pallas.ds(column, 1), at)


def _of_training(refs: Any, *place: Any) -> Any:
    """What some training points have of a pixel, ``(C, 1)``."""
    return _read(refs, *place, pallas.ds(0, 1))


def _gaps(x: Any, p: Any, at: tuple[Any, Any], row: Array, column: Array) -> list[tuple[Array, Array]]:
    """Both sides of a pixel, channel by channel."""
    return [(_of_test(x, c, row, column, at[1]), _of_training(p, c, row, column, at[0])) for c in range(x.shape[0])]
