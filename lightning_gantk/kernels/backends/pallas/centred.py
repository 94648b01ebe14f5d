"""Samples about the places where the training points lie, of which there may be two: those of fakes and those of reals.

A distance from inner products loses the fewest digits where both samples are small. Points of either group are taken
about a centre c of their own, and one product serves both, for ``(x - c) . (p - c) = (x - c_0) . (p - c) + (c_0 - c) .
(p - c)``, of which the last is a number of p alone. Three kernels: lengths of some points, centres, and all the rest.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas

from lightning_gantk.kernels.backends.pallas.calls import call, lanes, load, shape, store

Array = jax.Array
_SOME = 256  # points of a group that its centre is taken of: any place among them is right
_BLOCK = 32  # of these, at once
_COLUMNS = 32  # coordinates of a program that averages
_WIDE = 512  # coordinates of a sample, at once


class Numbers(NamedTuple):
    """What pairs need of samples, each ``(N,)``; where differences are taken one by one, ``q`` alone.

    Attributes:
        q: Mean squares.
        one: Mean squares of the samples about c_0.
        two: The same about c_1.
        cross: Mean products of ``far`` with c_0 - c.
        group: 0 or 1.
    """

    q: Any
    one: Any = None
    two: Any = None
    cross: Any = None
    group: Any = None


class Side(NamedTuple):
    """Samples ``(N, d)`` as pairs need them.

    Attributes:
        samples: As they are.
        far: About the centre of their group.
        numbers: Of each sample.
        rests: What rounding left out of the samples, where it is known.
    """

    samples: Array
    far: Array
    numbers: Numbers
    rests: Array | None = None


def centres(points: Array, first: int, *, interpret: bool) -> Array:
    """A place among the first points and one among the others, ``(2, d)``; where there is one group, the same twice.

    They are means with weights: a point that lies far out has a great length, and little weight.
    """
    total, d = points.shape
    groups = ((0, first), (first, total - first)) if 0 < first < total else ((0, total), (0, total))
    some = lanes(max(size for _, size in groups), least=_BLOCK, most=_SOME)
    run = functools.partial(call, interpret=interpret)
    kernel = functools.partial(_lengths_kernel, groups, some)
    lengths = run(kernel, shape(2, some), points, name="gantk_lengths", grid=(2, some))
    kernel = functools.partial(_centres_kernel, groups, some)
    grid = 2, -(-d // _COLUMNS)
    return run(kernel, shape(2, d), points, lengths, name="gantk_centres", grid=grid)


def about(samples: Array, places: Array, first: int, *, interpret: bool, own: int = 0) -> tuple[Side, Side]:
    """Samples about two centres, of which the first samples have the first.

    Args:
        samples: All.
        places: The centres.
        first: How many of the samples belong to the first group.
        interpret: Whether it runs without a GPU.
        own: How many of the first samples are wanted as test points too, with a ``far`` of their own: a part of an
            array that goes into a matrix product is copied by XLA.

    Returns:
        All samples, and the first ``own`` of them (``far`` alone is that short).
    """
    numbers = Numbers(*[shape(len(samples))] * len(Numbers._fields))
    results = shape(*samples.shape), numbers, shape(own, samples.shape[1]) if own else None
    kernel = functools.partial(_about_kernel, first, own)
    far, numbers, again = call(
        kernel, results, samples, places, name="gantk_about", grid=(len(samples),), interpret=interpret
    )
    return Side(samples, far, numbers), Side(samples, far if again is None else again, numbers)


def _row(groups: Any, some: int, g: Array, k: Array) -> Array:
    """The k-th of ``some`` points of a group, as even as can be; some come twice where there are fewer."""
    (begin, size), (other, of_other) = groups
    return jnp.where(g == 0, begin + k * size // some, other + k * of_other // some)


def _coordinates(d: int, wide: int) -> Any:
    """Where a kernel's slices of so many coordinates begin, in a loop: ``(how many, slice -> (places, inside))``."""

    def of(i: Array) -> tuple[Array, Array]:
        at = i * wide + jnp.arange(wide)
        return at, at < d

    return -(-d // wide), of


def _lengths_kernel(groups: Any, some: int, points: Any, out: Any) -> None:
    g, k = pallas.program_id(0), pallas.program_id(1)
    d = points.shape[1]
    wide = lanes(d, least=16, most=_WIDE)
    count, of = _coordinates(d, wide)
    row = _row(groups, some, g, k)

    def add(i: Array, total: Array) -> Array:
        at, inside = of(i)
        values = load(points.at[row, at], mask=inside, other=0.0)
        return total + values * values

    out[g, k] = jnp.sum(jax.lax.fori_loop(0, count, add, jnp.zeros((wide,), jnp.float32))) / d


def _centres_kernel(groups: Any, some: int, points: Any, lengths: Any, out: Any) -> None:
    g, d = pallas.program_id(0), points.shape[1]
    at = pallas.program_id(1) * _COLUMNS + jnp.arange(_COLUMNS)
    inside = jnp.broadcast_to((at < d)[None], (_BLOCK, _COLUMNS))
    mean = jnp.sum(lengths[g, pallas.ds(0, some)]) / some

    def add(i: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        k = pallas.ds(i * _BLOCK, _BLOCK)
        ratio = lengths[g, k] / jnp.maximum(mean, jnp.finfo(jnp.float32).tiny)
        weights = 1 / (1 + ratio * ratio * ratio * ratio)
        rows = _row(groups, some, g, i * _BLOCK + jnp.arange(_BLOCK))
        values = load(points.at[rows[:, None], at[None]], mask=inside, other=0.0)
        return sums[0] + weights[:, None] * values, sums[1] + weights

    start = jnp.zeros((_BLOCK, _COLUMNS), jnp.float32), jnp.zeros((_BLOCK,), jnp.float32)
    values, weights = jax.lax.fori_loop(0, some // _BLOCK, add, start)
    store(out.at[g, at], jnp.sum(values, 0) / jnp.sum(weights), mask=at < d)


def _about_kernel(first: int, own: int, samples: Any, places: Any, far: Any, numbers: Any, again: Any) -> None:
    i, d = pallas.program_id(0), samples.shape[1]
    wide = lanes(d, least=16, most=_WIDE)
    count, of = _coordinates(d, wide)
    group = jnp.where(i < first, 0, 1)

    def add(j: Array, sums: list[Array]) -> list[Array]:
        at, inside = of(j)
        sample, one, other, centre = (
            load(ref.at[row, at], mask=inside, other=0.0)
            for ref, row in ((samples, i), (places, 0), (places, 1), (places, group))
        )
        moved = sample - centre
        store(far.at[i, at], moved, mask=inside)
        if own:
            store(again.at[jnp.minimum(i, own - 1), at], moved, mask=inside & (i < own))
        to_one, to_other = sample - one, sample - other
        new = sample * sample, to_one * to_one, to_other * to_other, moved * (one - centre)
        return [total + value for total, value in zip(sums, new, strict=True)]

    sums = jax.lax.fori_loop(0, count, add, [jnp.zeros((wide,), jnp.float32)] * 4)
    for ref, total in zip(numbers, sums, strict=False):  # all but the last
        ref[i] = jnp.sum(total) / d
    numbers.group[i] = group.astype(jnp.float32)
