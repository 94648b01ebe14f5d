"""phi_t(A) b with phi_t(l) = (1 - exp(-t l)) / l, by Lanczos: the exact solution of v' = b - A v, v(0) = 0.

A is symmetric and positive semi-definite and seen only through its product with a vector. The Krylov space grows
until a bound on the error of the *scores* is met, see ``_error_bound``; an eigendecomposition costs O(P^3) and is no
more accurate. Reference: Saad, "Analysis of some Krylov subspace approximations to the matrix exponential operator",
1992.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

_STAGES = (32, 128, 512)  # sizes of the Krylov basis, each allocated only when the one before was too small
_CHECKS_PER_STAGE = 8


class _Lanczos(NamedTuple):
    """The decomposition A V = V T + beta v e^T so far; unused rows of ``basis`` are 0."""

    basis: jax.Array  # (size, P), orthonormal rows
    diagonal: jax.Array  # (size,)
    off_diagonal: jax.Array  # (size,)
    direction: jax.Array  # (P,), the next basis vector
    count: jax.Array  # vectors so far
    coefficients: jax.Array  # (size,), the solution in the basis, at the last check
    error: jax.Array  # bound on the relative error at the last check


def phi_product(
    matvec: Callable[[jax.Array], jax.Array], b: jax.Array, time: float, tolerance: float
) -> tuple[jax.Array, jax.Array]:
    """``phi_time(A) b``.

    Args:
        matvec: ``v -> A v`` for vectors ``(P,)``.
        b: ``(P,)``.
        time: t, at least 0.
        tolerance: Bound on the relative error of the solution v in the norm of A, sqrt(v^T A v); that norm is the
            kernel's RKHS norm of the score function. The iteration also ends where rounding hides what is left.

    Returns:
        v ``(P,)``, in the dtype of ``b``, and the number of products with A.
    """
    points = len(b)
    norm = jnp.linalg.norm(b)
    direction = jnp.where(norm > 0, b / jnp.where(norm > 0, norm, 1), 0)
    sizes = [size for size in _STAGES if size < points] + [points]
    empty = jnp.zeros((0,), b.dtype)
    state = _Lanczos(
        jnp.zeros((0, points), b.dtype), empty, empty, direction, jnp.array(0), empty, jnp.array(jnp.inf, b.dtype)
    )
    solution, count = _stage(state, matvec, time, tolerance, sizes)
    return norm * solution, count


def _stage(
    state: _Lanczos, matvec: Callable, time: float, tolerance: float, sizes: list[int]
) -> tuple[jax.Array, jax.Array]:
    """Grows the basis to at most ``sizes[0]`` vectors; goes on with the next size only where that was not enough."""
    size, *larger = sizes
    extra = size - len(state.diagonal)
    grown = {n: jnp.pad(getattr(state, n), (0, extra)) for n in ("diagonal", "off_diagonal", "coefficients")}
    state = state._replace(basis=jnp.pad(state.basis, ((0, extra), (0, 0))), **grown)
    every = max(1, extra // _CHECKS_PER_STAGE)

    def advance(s: _Lanczos) -> _Lanczos:
        steps = jnp.minimum(every, size - s.count)
        return _check(jax.lax.fori_loop(0, steps, lambda _, s: _extend(s, matvec), s), time)

    def unfinished(s: _Lanczos) -> jax.Array:
        return (s.error > tolerance) & (s.count < size)

    state = jax.lax.while_loop(unfinished, advance, state)
    if not larger:
        return state.coefficients @ state.basis, state.count
    return jax.lax.cond(
        state.error > tolerance,
        lambda s: _stage(s, matvec, time, tolerance, larger),
        lambda s: (s.coefficients @ s.basis, s.count),
        state,
    )


def _extend(state: _Lanczos, matvec: Callable) -> _Lanczos:
    """One Lanczos step with full reorthogonalisation, twice, which keeps the basis orthonormal to rounding.

    Once the space is invariant the direction is 0, and every further step adds a row and column of zeros.
    """
    v, j = state.direction, state.count
    basis = state.basis.at[j].set(v)
    image = matvec(v)
    alpha = v @ image
    rest = image
    for _ in range(2):
        rest = rest - (basis @ rest) @ basis
    beta = jnp.linalg.norm(rest)
    # Below rounding the space is invariant: what is left is noise, and the solution lies in the basis.
    tiny = 4 * jnp.finfo(v.dtype).eps * jnp.linalg.norm(image)
    beta = jnp.where(beta > tiny, beta, 0)
    direction = jnp.where(beta > 0, rest / jnp.where(beta > 0, beta, 1), 0)
    return state._replace(
        basis=basis,
        diagonal=state.diagonal.at[j].set(alpha),
        off_diagonal=state.off_diagonal.at[j].set(beta),
        direction=direction,
        count=j + 1,
    )


def _check(state: _Lanczos, time: float) -> _Lanczos:
    """The solution in the basis, phi_t(T) e_1, and the bound on its error."""
    size = len(state.diagonal)
    inner = state.off_diagonal[: size - 1] * (jnp.arange(1, size) < state.count)
    values, vectors = jnp.linalg.eigh(jnp.diag(state.diagonal) + jnp.diag(inner, 1) + jnp.diag(inner, -1))
    coefficients = vectors @ (phi(values, time) * vectors[0])
    return state._replace(coefficients=coefficients, error=_error_bound(state, coefficients, values, vectors, time))


def _error_bound(
    state: _Lanczos, coefficients: jax.Array, values: jax.Array, vectors: jax.Array, time: float
) -> jax.Array:
    """Bound on |e|_A / |v|_A, |v|_A = sqrt(v^T A v).

    The error obeys e' = -A e + beta g(s) v_next with g the last coefficient at time s, which grows with s (exp(-s T)
    has a checkerboard of signs). With |sqrt(A) exp(-s A)| <= 1 / sqrt(2 e s), |e(t)|_A <= beta |g(t)| sqrt(2 t / e). A
    last coefficient lost in the rounding of the whole cannot be measured, and counts as 0.
    """
    last = jnp.abs(coefficients[state.count - 1])
    floor = jnp.finfo(coefficients.dtype).eps * jnp.linalg.norm(coefficients)
    residual = state.off_diagonal[state.count - 1] * jnp.where(last > floor, last, 0)
    energy = jnp.sum(jnp.maximum(values, 0) * (vectors.T @ coefficients) ** 2)
    bound = residual * jnp.sqrt(2 * time / math.e)
    return jnp.where(bound > 0, bound / jnp.sqrt(jnp.maximum(energy, jnp.finfo(energy.dtype).tiny)), 0)


def phi(values: jax.Array, time: float) -> jax.Array:
    """``(1 - exp(-t l)) / l``, and its limit t where l is 0; eigenvalues below 0 are rounding and count as 0."""
    values = jnp.maximum(values, 0)
    small = values * time < 1e-8
    return jnp.where(small, time, -jnp.expm1(-time * values) / jnp.where(small, 1, values))
