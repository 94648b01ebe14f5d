"""What GPU programs do with tiles of pairs of vectors: all that happens to pairs, and the gradient from its parts.

``vectors`` says how they follow each other. Samples are references to them and to their rests, or None. Every reference
is to a whole array.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas

from lightning_gantk.kernels.backends.near import near
from lightning_gantk.kernels.backends.pallas.arithmetic import contracted
from lightning_gantk.kernels.backends.pallas.calls import load, store, up_to
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
SUMS = ("values", "by_q", "by_v of the first group", "by_v of the other")  # of a tile, over its points
SLICE = 64  # coordinates of a program that puts a gradient together
_COORDINATES = 64  # of a near pair, at once


def pairs(
    recursion: Recursion,
    rows: int,
    columns: int,
    interpret: bool,
    x: Any,
    p: Any,
    of_x: Any,
    of_p: Any,
    inner: Any,
    weights: Any,
    *out: Any,
) -> None:
    """Kernel values of a tile, or with weights its sums, and ``w F_v`` of far and of near pairs; see ``vectors``."""
    x = p if x is None else x
    x_at = pallas.ds(pallas.program_id(0) * rows, rows)
    p_at = pallas.ds(pallas.program_id(1) * columns, columns)
    samples, d = x[0], x[0].shape[1]
    q_x, q_p = of_x.q[x_at], of_p.q[p_at]
    w = None if weights is None else weights[p_at]
    gaps: list[tuple[Array, Array]] = []
    left, turns = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    if inner is None:
        refs = _known(x, p)
        gaps = [_gap(*[(a[x_at, c][None], b[p_at, c][:, None]) for a, b in refs]) for c in range(d)]
        v = functools.reduce(jnp.add, [minus**2 for minus, _ in gaps]) / d
        difference = functools.reduce(jnp.add, [minus * plus for minus, plus in gaps]) / d
    else:
        v, bound = _distances(inner, d, (of_x, x_at), (of_p, p_at))
        left = near(v, bound, q_x[None] + q_p[:, None], recursion.scale)
        if w is not None:
            left &= (w != 0)[:, None]
        left = left.astype(jnp.int32)
        turns = jnp.max(jnp.sum(left, 0))
        state = v, jnp.broadcast_to(q_x[None] - q_p[:, None], v.shape), left
        exact = functools.partial(_exact_turn, x, p, x_at.start, p_at.start)
        v, difference, _ = jax.lax.fori_loop(0, turns, exact, state)

    def values_of(v: Array, difference: Array, q_x: Array, q_p: Array) -> Array:
        return recursion.kernel(v, difference, recursion.marginals(q_x), recursion.marginals(q_p))

    def derivatives(v: Array, difference: Array, q_x: Array, q_p: Array) -> tuple[Array, Array, Array]:
        values, slope_q = jax.jvp(lambda q: values_of(v, difference, q, q_p), (q_x,), (jnp.ones_like(q_x),))
        slope_v = jax.jvp(lambda v: values_of(v, difference, q_x, q_p), (v,), (jnp.ones_like(v),))[1]
        return values, slope_q, slope_v

    if w is None:
        out[0][p_at, x_at] = contracted(values_of, interpret=interpret)(v, difference, q_x, q_p)
        return
    values, slope_q, slope_v = contracted(derivatives, interpret=interpret)(v, difference, q_x, q_p)
    t, w = pallas.program_id(1), w[:, None]
    a = slope_v * w
    by_q = jnp.sum(slope_q * w, 0)
    if inner is None:
        out[0][t, x_at] = jnp.sum(values * w, 0)
        for c, (minus, _plus) in enumerate(gaps):
            out[1][t, c, x_at] = (2 / d) * (jnp.sum(a * minus, 0) + by_q * samples[x_at, c])
        return
    far = jnp.where(left > 0, 0, a)
    group = of_p.group[p_at][:, None]
    by_v = (jnp.sum(far * share, 0) for share in (1 - group, group))
    for i, total in enumerate((jnp.sum(values * w, 0), by_q, *by_v)):
        out[0][i, t, x_at] = total
    out[1][t, pallas.program_id(0)] = turns
    out[2][p_at, x_at] = far

    @pallas.when(turns > 0)
    def _() -> None:
        out[3][p_at, x_at] = a - far


def _known(x: Any, p: Any) -> list[tuple[Any, Any]]:
    """References of both sides: to samples, and to their rests where they have some."""
    return [(a, b) for a, b in zip(x, p, strict=True) if a is not None]


def _gap(samples: Any, rests: Any = None) -> tuple[Array, Array]:
    """``a - b``, with what rounding left out of both, and ``a + b``, of pairs of coordinates ``(a, b)``."""
    a, b = samples
    minus = a - b
    if rests is not None:
        rest_a, rest_b = rests
        minus += rest_a - rest_b
    return minus, a + b


def _distances(inner: Any, d: int, x: Any, p: Any) -> tuple[Array, Array]:
    """Mean squared distances ``(C, R)`` by inner products, and numbers of whose size they have the rounding."""
    (of_x, x_at), (of_p, p_at) = x, p
    other = of_p.group[p_at][:, None] > 0
    one, two = of_x.one[x_at][None], of_x.two[x_at][None]
    own = jnp.where(other, of_p.two[p_at][:, None], of_p.one[p_at][:, None])
    lengths = jnp.where(other, two, one) + own
    product = functools.reduce(jnp.add, [inner[s, p_at, x_at] for s in range(inner.shape[0])])
    v = jnp.maximum(lengths - (2 / d) * product - 2 * of_p.cross[p_at][:, None], 0)
    return v, lengths + jnp.where(other, one, 0)  # the product is of x about the first centre


def _exact_turn(x: Any, p: Any, first_x: Any, first_p: Any, _: Array, state: Any) -> Any:
    """Works out the next near pair of each test point of a tile, from exact differences of all coordinates."""
    v, difference, left = state
    columns, rows = v.shape
    d = x[0].shape[1]
    place = jax.lax.broadcasted_iota(jnp.int32, v.shape, 0)
    j = jnp.min(jnp.where(left > 0, place, columns), 0)
    of_x = (first_x + jnp.arange(rows))[:, None]
    of_p = (first_p + jnp.minimum(j, columns - 1))[:, None]

    def add(k: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        at = (k * _COORDINATES + jnp.arange(_COORDINATES))[None]
        inside = jnp.broadcast_to(at < d, sums[0].shape)
        some = functools.partial(load, mask=inside, other=0.0)
        minus, plus = _gap(*[(some(a.at[of_x, at]), some(b.at[of_p, at])) for a, b in _known(x, p)])
        return sums[0] + minus**2, sums[1] + minus * plus

    zeros = jnp.zeros((rows, _COORDINATES), v.dtype)
    sums = jax.lax.fori_loop(0, up_to(d, _COORDINATES) // _COORDINATES, add, (zeros, zeros))
    square, cross = (jnp.sum(part, 1)[None] / d for part in sums)
    this = place == j[None]
    return jnp.where(this, square, v), jnp.where(this, cross, difference), jnp.where(this, 0, left)


def gradient(
    rows: int,
    columns: int,
    x: Any,
    p: Any,
    places: Any,
    moved: Any,
    sums: Any,
    turns: Any,
    near_a: Any,
    out_scores: Any,
    out: Any,
) -> None:
    """A slice of the gradient of some test points, and their scores, from the sums of all tiles."""
    x = p if x is None else x
    i, k, d = pallas.program_id(0), pallas.program_id(1), x[0].shape[1]
    x_at = pallas.ds(i * rows, rows)
    of_x = (i * rows + jnp.arange(rows))[:, None]
    at = k * SLICE + jnp.arange(SLICE)
    wide, inside = jnp.broadcast_to(at[None] < d, (rows, SLICE)), at < d
    some = [load(ref.at[of_x, at[None]], mask=wide, other=0.0) for ref, _ in _known(x, p)]

    def total_of(i: int, t: Array, total: Array) -> Array:
        return total + sums[i, t, x_at]

    def add(t: Array, state: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        totals, gradient = state

        def near_pairs(j: Array, gradient: Array) -> Array:
            c = t * columns + j
            points = [load(ref.at[c, at], mask=inside, other=0.0)[None] for _, ref in _known(x, p)]
            minus, _ = _gap(*zip(some, points, strict=True))
            return gradient + near_a[c, x_at][:, None] * minus

        gradient = jax.lax.fori_loop(0, columns * jnp.minimum(turns[t, i], 1), near_pairs, gradient)
        return [total_of(i, t, total) for i, total in enumerate(totals, 1)], gradient

    zeros = jnp.zeros((rows,), jnp.float32)
    start = [zeros] * (len(SUMS) - 1), jnp.zeros((rows, SLICE), jnp.float32)
    (slope_q, *slopes_v), gradient = jax.lax.fori_loop(0, turns.shape[0], add, start)
    for g, slope_v in enumerate(slopes_v):
        place = load(places.at[g, at], mask=inside, other=0.0)
        gradient += slope_v[:, None] * (some[0] - place[None])
    gradient -= load(moved.at[of_x, at[None]], mask=wide, other=0.0)
    gradient = (2 / d) * (gradient + slope_q[:, None] * some[0])
    store(out.at[of_x, at[None]], gradient, mask=wide)

    @pallas.when(k == 0)
    def _() -> None:
        out_scores[x_at] = jax.lax.fori_loop(0, turns.shape[0], functools.partial(total_of, 0), zeros)
