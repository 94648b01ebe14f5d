"""phi_t(A) b with phi_t(l) = (1 - exp(-t l)) / l, by Lanczos: the exact solution of v' = b - A v, v(0) = 0.

A is symmetric and positive semi-definite and seen only through its product with a vector. The Krylov space grows
until a bound on the error of the *scores* is met, see ``_error_bound``; an eigendecomposition costs O(P^3) and is no
more accurate. Reference: Saad, "Analysis of some Krylov subspace approximations to the matrix exponential operator",
1992. Of many points a space that has grown large is given up, and a new one goes on from the time it was good for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics import contour
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops

_STAGES = (32, 128, 512)  # sizes of the Krylov basis, each allocated only when the one before was too small
_WHOLE = 2048  # points up to which the last basis is as large as the space: no more than 32 MB
_RESTARTS = 1000  # after which to give up


class _Small(NamedTuple):
    """The solution in the basis, phi_t(T) e_1, its ``x^T T x``, and the units of rounding that are left of it."""

    solution: jax.Array
    energy: jax.Array
    rounding: float


@dataclass(frozen=True)
class _Way:
    """How the small problem is solved, and how often.

    Attributes:
        small: ``(diagonal, off_diagonal, time) -> `` its solution.
        checks: Looks at it in the growth of one stage.
        fixed: Whether the steps between two looks are a number known to the compiler: a GPU's loops ask the host
            otherwise, at each turn.
    """

    small: Callable[[jax.Array, jax.Array, float | jax.Array], _Small]
    checks: int
    fixed: bool


class _Lanczos(NamedTuple):
    """The decomposition A V = V T + beta v e^T so far; unused rows of ``basis`` are 0."""

    basis: jax.Array  # (size, P), orthonormal rows
    diagonal: jax.Array  # (size,)
    off_diagonal: jax.Array  # (size,)
    direction: jax.Array  # (P,), the next basis vector
    length: jax.Array  # vectors so far
    coefficients: jax.Array  # (size,), the solution in the basis, at the last check
    energy: jax.Array  # of the solution, x^T T x
    error: jax.Array  # bound on the relative error at the last check
    floor: jax.Array  # the least that the bound can come to in this rounding


def phi_product(
    matvec: Callable[[jax.Array], jax.Array],
    b: jax.Array,
    time: float,
    tolerance: float,
    loops: Loops = COMPILED,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``phi_time(A) b``.

    Args:
        matvec: ``v -> A v`` for vectors ``(P,)``.
        b: ``(P,)``.
        time: t, at least 0.
        tolerance: Bound on the relative error of the solution v in the norm of A, sqrt(v^T A v); that norm is the
            kernel's RKHS norm of the score function. The iteration also ends where rounding hides what is left.
        loops: Who runs the iteration.

    Returns:
        v ``(P,)``, in the dtype of ``b``, the number of products with A, and the bound that was reached; NaN where
        a number was none.
    """
    on_cpu, other = (
        lambda b, way=way: _phi_product(matvec, b, time, tolerance, way, loops)
        for way in (_BY_EIGENVALUES, _ON_GPU if time <= contour.LONGEST else _ON_GPU_BY_EIGENVALUES)
    )
    return loops.by_platform(on_cpu, other, b)


def _phi_product(
    matvec: Callable, b: jax.Array, time: float, tolerance: float, way: _Way, loops: Loops
) -> tuple[jax.Array, jax.Array, jax.Array]:
    points = len(b)
    sizes = [size for size in _STAGES if size < points] + ([points] if points <= max(_WHOLE, _STAGES[0]) else [])
    state, norm = _begin(b)
    solution, count, error = _stage(state, matvec, b, time, tolerance, sizes, way, loops)
    return norm * solution, count, error


def _begin(b: jax.Array) -> tuple[_Lanczos, jax.Array]:
    """An empty basis whose first vector is to be that of b, and the norm of b."""
    norm = jnp.linalg.norm(b)
    direction = jnp.where(norm > 0, b / jnp.where(norm > 0, norm, 1), 0)
    empty = jnp.zeros((0,), b.dtype)
    nothing = jnp.zeros((), b.dtype)
    basis, count, error = jnp.zeros((0, len(b)), b.dtype), jnp.array(0), nothing + jnp.inf
    return _Lanczos(basis, empty, empty, direction, count, empty, nothing, error, nothing), norm


def _stage(
    state: _Lanczos,
    matvec: Callable,
    b: jax.Array,
    time: float,
    tolerance: float,
    sizes: list[int],
    way: _Way,
    loops: Loops,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Grows the basis to at most ``sizes[0]`` vectors; goes on with the next size only where that was not enough."""
    size, *larger = sizes
    state = _grow(state, matvec, time, tolerance, size, way, loops)

    def finish(s: _Lanczos) -> tuple[jax.Array, jax.Array, jax.Array]:
        return s.coefficients @ s.basis, s.length, jnp.maximum(s.error, s.floor)

    def go_on(s: _Lanczos) -> tuple[jax.Array, jax.Array, jax.Array]:
        if larger:
            return _stage(s, matvec, b, time, tolerance, larger, way, loops)
        return _restarted(s, matvec, b, time, tolerance, way, loops)

    if size == len(b):  # the space is whole
        return finish(state)
    return loops.cond(state.error > jnp.maximum(tolerance, state.floor), go_on, finish, state)


def _grow(
    state: _Lanczos, matvec: Callable, time: float | jax.Array, tolerance: float, size: int, way: _Way, loops: Loops
) -> _Lanczos:
    """Grows the basis until the bound is met, to at most so many vectors."""
    extra = size - len(state.diagonal)
    grown = {n: jnp.pad(getattr(state, n), (0, extra)) for n in ("diagonal", "off_diagonal", "coefficients")}
    state = state._replace(basis=jnp.pad(state.basis, ((0, extra), (0, 0))), **grown)
    every = max(1, extra // way.checks)
    fixed = way.fixed and extra % every == 0
    extend, check = loops.once("extend", _extend), loops.once("check", lambda s, time: _check(s, time, way))

    def advance(s: _Lanczos) -> _Lanczos:
        steps = every if fixed else jnp.minimum(every, size - s.length)
        return check(loops.fori_loop(0, steps, lambda _, s: extend(s, matvec(s.direction)), s), time)

    def unfinished(s: _Lanczos) -> jax.Array:
        return (s.error > jnp.maximum(tolerance, s.floor)) & (s.length < size)

    # There is no bound before the first look: a GPU's loop need not ask the host for it.
    return loops.while_loop(unfinished, advance, advance(state) if fixed else state)


class _Progress(NamedTuple):
    """A solution that is built up in time."""

    state: _Lanczos  # a full basis of what is left
    solution: jax.Array  # (P,), up to here
    rest: jax.Array  # (P,), b - A v: the problem that is left
    left: jax.Array  # time that is left
    products: jax.Array
    error: jax.Array  # sum of the bounds, in the norm of A
    restarts: jax.Array


def _restarted(
    state: _Lanczos, matvec: Callable, b: jax.Array, time: float, tolerance: float, way: _Way, loops: Loops
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Goes on in steps of time: v(t + s) = v(t) + phi_s(A) (b - A v(t)), each as long as a basis is good for."""
    size, check = len(state.diagonal), loops.once("check", lambda s, time: _check(s, time, way))

    def too_far(s: _Lanczos) -> jax.Array:
        return s.error > jnp.maximum(tolerance, s.floor)

    def step(now: _Progress) -> _Progress:
        span, state = loops.while_loop(
            lambda pair: too_far(pair[1]),
            lambda pair: (pair[0] / 2, check(pair[1], pair[0] / 2)),
            (now.left, now.state),
        )
        norm = jnp.linalg.norm(now.rest)
        solution = now.solution + norm * (state.coefficients @ state.basis)
        rest = b - matvec(solution)
        left = jnp.where(span >= now.left, 0, now.left - span)
        fresh = loops.cond(
            left > 0,
            lambda: _grow(_begin(rest)[0], matvec, left, tolerance, size, way, loops),
            lambda: jax.tree.map(jnp.zeros_like, state),
        )
        error = now.error + jnp.maximum(state.error, state.floor) * norm * jnp.sqrt(state.energy)
        products = now.products + fresh.length + 1
        return _Progress(fresh, solution, rest, left, products, error, now.restarts + 1)

    def unfinished(now: _Progress) -> jax.Array:
        return (now.left > 0) & jnp.isfinite(now.error) & (now.restarts < _RESTARTS)

    norm = jnp.linalg.norm(b)
    nothing = jnp.zeros((), b.dtype)
    begin = _Progress(state, 0 * b, b, nothing + time, state.length, nothing, jnp.array(0))
    end = loops.while_loop(unfinished, step, begin)
    whole = jnp.sqrt(jnp.maximum(end.solution @ (b - end.rest), jnp.finfo(b.dtype).tiny))
    error = jnp.where(end.left > 0, jnp.nan, end.error / whole)
    return end.solution / jnp.where(norm > 0, norm, 1), end.products, error


def _extend(state: _Lanczos, image: jax.Array) -> _Lanczos:
    """One Lanczos step, given the image of its direction under A, with full reorthogonalisation, twice, which keeps the
    basis orthonormal to rounding.

    Once the space is invariant the direction is 0, and every further step adds a row and column of zeros.
    """
    v, j = state.direction, state.length
    basis = state.basis.at[j].set(v)
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
        length=j + 1,
    )


def _check(state: _Lanczos, time: float | jax.Array, way: _Way) -> _Lanczos:
    """The solution in the basis, phi_t(T) e_1, and the bound on its error.

    The error obeys e' = -A e + beta g(s) v_next with g the last coefficient at time s, which grows with s (exp(-s T)
    has a checkerboard of signs). With |sqrt(A) exp(-s A)| <= 1 / sqrt(2 e s), |e(t)|_A <= beta |g(t)| sqrt(2 t / e). A
    last coefficient lost in the rounding of the whole cannot be measured: the bound ends where it has that size. It is
    over |v|_A = sqrt(v^T A v).
    """
    size = len(state.diagonal)
    inner = state.off_diagonal[: size - 1] * (jnp.arange(1, size) < state.length)
    coefficients, energy, units = way.small(state.diagonal, inner, time)
    scale = jnp.sqrt(jnp.maximum(energy, jnp.finfo(energy.dtype).tiny))

    def bound(last: jax.Array) -> jax.Array:
        residual = state.off_diagonal[state.length - 1] * last * jnp.sqrt(2 * time / math.e)
        return jnp.where(residual == 0, 0, residual / scale)

    rounding = units * jnp.finfo(coefficients.dtype).eps * jnp.linalg.norm(coefficients)
    error, floor = bound(jnp.abs(coefficients[state.length - 1])), bound(rounding)
    return state._replace(coefficients=coefficients, energy=energy, error=error, floor=floor)


def _by_eigenvalues(diagonal: jax.Array, off_diagonal: jax.Array, time: float | jax.Array) -> _Small:
    values, vectors = jnp.linalg.eigh(jnp.diag(diagonal) + jnp.diag(off_diagonal, 1) + jnp.diag(off_diagonal, -1))
    coefficients = vectors @ (phi(values, time) * vectors[0])
    energy = jnp.sum(jnp.maximum(values, 0) * (vectors.T @ coefficients) ** 2)
    return _Small(coefficients, energy, 1)


def _by_contour(diagonal: jax.Array, off_diagonal: jax.Array, time: float | jax.Array) -> _Small:
    found = contour.phi_first_column(diagonal, off_diagonal, time)
    image = diagonal * found + jnp.pad(off_diagonal * found[:-1], (1, 0)) + jnp.pad(off_diagonal * found[1:], (0, 1))
    return _Small(found, found @ image, contour.ROUNDING)


def phi(values: jax.Array, time: float | jax.Array) -> jax.Array:
    """``(1 - exp(-t l)) / l``, and its limit t where l is 0; eigenvalues below 0 are rounding and count as 0."""
    values = jnp.maximum(values, 0)
    small = values * time < 1e-8
    return jnp.where(small, time, -jnp.expm1(-time * values) / jnp.where(small, 1, values))


_BY_EIGENVALUES = _Way(_by_eigenvalues, checks=8, fixed=False)
_ON_GPU = _Way(_by_contour, checks=4, fixed=True)  # an eigendecomposition is a call of cuSOLVER, a millisecond long
_ON_GPU_BY_EIGENVALUES = _Way(_by_eigenvalues, checks=4, fixed=True)
