"""A stabilised explicit solver for stiff gradient flows: the second-order Runge-Kutta-Chebyshev method.

With s stages it is stable for steps up to 0.65 s^2 over the spectral radius, so that a stiff stretch costs its square
root in evaluations, and no linear system is solved. Reference: Sommeijer, Shampine and Verwer, "RKC: an explicit
solver for parabolic PDEs", 1998.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops

_STAGES = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 180, 256)
_DAMPING = 2 / 13


class Solution(NamedTuple):
    """State at the end, evaluations of the field, and whether the end was reached."""

    state: Any
    evaluations: jax.Array
    reached: jax.Array


class _Progress(NamedTuple):
    time: jax.Array
    state: jax.Array
    slope: jax.Array
    step: jax.Array
    evaluations: jax.Array


def solve(
    field: Callable[[jax.Array], jax.Array],
    radius: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    time: float,
    *,
    rtol: float,
    atol: float,
    max_evaluations: int,
    loops: Loops = COMPILED,
) -> Solution:
    """Solves ``y' = field(y)`` from ``start`` for a time.

    Args:
        field: The right-hand side; its Jacobian has eigenvalues near the negative real axis.
        radius: A bound on their size at a state.
        start: State at time 0.
        time: Length of the solve.
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        max_evaluations: Evaluations of the field after which to give up.
        loops: Who runs the steps and their stages.

    Returns:
        The solution.
    """
    dtype = start.dtype
    stages, reach, table = (
        jnp.array(_STAGES),
        jnp.array([_reach(s) for s in _STAGES], dtype),
        jnp.asarray(_table(dtype.name)),
    )

    def advance(now: _Progress) -> _Progress:
        bound = 1.1 * radius(now.state)
        step = jnp.minimum(jnp.minimum(now.step, time - now.time), reach[-1] / jnp.maximum(bound, 1e-30))
        index = jnp.searchsorted(reach, step * bound)
        count = stages[index]
        coefficients = table[index]
        new = _step(field, now.state, now.slope, step, count, coefficients, loops)
        slope = field(new)
        estimate = 0.8 * (now.state - new) + 0.4 * step * (now.slope + slope)
        scale = atol + rtol * jnp.maximum(jnp.abs(now.state), jnp.abs(new))
        error = jnp.sqrt(jnp.mean((estimate / scale) ** 2))
        error = jnp.where(jnp.isfinite(error), error, jnp.inf)
        accept = error <= 1
        factor = jnp.clip(0.8 * jnp.maximum(error, 1e-10) ** (-1 / 3), 0.1, 5)
        pick = functools.partial(jnp.where, accept)
        return _Progress(
            pick(jnp.where(now.time + step >= time, time, now.time + step), now.time),
            pick(new, now.state),
            pick(slope, now.slope),
            step * jnp.where(accept, factor, jnp.minimum(factor, 0.5)),
            now.evaluations + count,
        )

    def unfinished(now: _Progress) -> jax.Array:
        return (now.time < time) & (now.evaluations < max_evaluations)

    slope = field(start)
    first = 1 / jnp.maximum(radius(start), 1 / time)
    begin = _Progress(jnp.zeros((), dtype), start, slope, jnp.asarray(first, dtype), jnp.array(1))
    end = loops.while_loop(unfinished, advance, begin)
    return Solution(end.state, end.evaluations, end.time >= time)


def _step(
    field: Callable,
    start: jax.Array,
    slope: jax.Array,
    step: jax.Array,
    count: jax.Array,
    coefficients: jax.Array,
    loops: Loops,
) -> jax.Array:
    """One step of ``count`` stages; row j of the coefficients is for stage j."""

    def stage(j: int | jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        before, last = pair
        mu, nu, mu_step, gamma = coefficients[j]
        new = (1 - mu - nu) * start + mu * last + nu * before + step * (mu_step * field(last) + gamma * slope)
        return last, new

    return loops.fori_loop(2, count + 1, stage, (start, start + coefficients[1, 2] * step * slope))[1]


def _reach(stages: int) -> float:
    """Step times spectral radius up to which a step of so many stages is stable."""
    return 2 / 3 * (stages**2 - 1) * (1 - 2 / 15 * _DAMPING)


@functools.cache
def _table(dtype: str) -> np.ndarray:
    """mu, nu, mu~, gamma~ of every stage, ``(len(_STAGES), most + 1, 4)``."""
    table = np.zeros((len(_STAGES), max(_STAGES) + 1, 4))
    for row, s in zip(table, _STAGES, strict=True):
        w_0 = 1 + _DAMPING / s**2
        t, d, dd = np.ones(s + 1), np.zeros(s + 1), np.zeros(s + 1)  # Chebyshev polynomials at w_0 and derivatives
        t[1], d[1] = w_0, 1
        for j in range(2, s + 1):
            t[j] = 2 * w_0 * t[j - 1] - t[j - 2]
            d[j] = 2 * w_0 * d[j - 1] - d[j - 2] + 2 * t[j - 1]
            dd[j] = 2 * w_0 * dd[j - 1] - dd[j - 2] + 4 * d[j - 1]
        w_1 = d[s] / dd[s]
        b = np.empty(s + 1)
        b[2:] = dd[2:] / d[2:] ** 2
        b[:2] = b[2]
        row[1, 2] = b[1] * w_1
        for j in range(2, s + 1):
            mu_step = 2 * b[j] * w_1 / b[j - 1]
            gamma = -(1 - b[j - 1] * t[j - 1]) * mu_step
            row[j] = 2 * b[j] * w_0 / b[j - 1], -b[j] / b[j - 2], mu_step, gamma
    return table.astype(dtype)
