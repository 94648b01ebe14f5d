"""Solvers for smooth flows: explicit Runge-Kutta methods where they are not stiff, an implicit one where they are."""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


class SmoothSolution(NamedTuple):
    """The end of a solve.

    Attributes:
        state: There.
        evaluations: Of the field.
        errors: Of the steps, or a bound on them, added up, over the tolerance of one step.
        reached: Whether it is the end.
    """

    state: Any
    evaluations: jax.Array
    errors: jax.Array
    reached: jax.Array


def solve(
    field: Callable[[Any], Any],
    start: Any,
    time: float,
    *,
    rtol: float,
    atol: float | jax.Array,
    max_steps: int,
    implicit: bool = False,
) -> SmoothSolution:
    """Solves ``y' = field(y)`` from ``start``, any pytree, for a time.

    Args:
        field: The right-hand side.
        start: State at time 0.
        time: Length of the solve.
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        max_steps: Steps after which to give up.
        implicit: Take Kvaerno's implicit method of order 5, which solves a linear system at each step, in the place of
            Tsitouras' explicit one of order 5.

    Returns:
        The solution.
    """
    import diffrax  # takes a second to import, and few runs need it

    from lightning_gantk.kernels.dynamics.step_errors import SummedErrors
    from lightning_gantk.kernels.dynamics.unrolled import UnrolledTsit5

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(y)),
        diffrax.Kvaerno5() if implicit else UnrolledTsit5(),
        t0=0.0,
        t1=time,
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(t1=True, controller_state=True),
        stepsize_controller=SummedErrors(rtol=rtol, atol=atol),
        max_steps=max_steps,
        throw=False,
    )
    state = jax.tree.map(lambda saved: saved[0], solution.ys)
    evaluations = 6 * solution.stats["num_steps"] + 2  # of seven stages one is shared with the next step
    assert solution.controller_state is not None
    _, errors = solution.controller_state
    return SmoothSolution(state, evaluations, errors, solution.result == diffrax.RESULTS.successful)


def solve_stepwise(
    field: Callable[[Any], Any], start: Any, time: float, *, rtol: float, atol: float | jax.Array, max_steps: int
) -> SmoothSolution:
    """As ``solve``, with a field that is called from Python, where it may send messages: Dormand and Prince's method,
    explicit and of order 5.
    """
    from scipy.integrate import RK45  # half a second to import, and few runs need it

    flat, unravel = ravel_pytree(start)

    def flat_field(t: float, y: np.ndarray) -> np.ndarray:
        return np.asarray(ravel_pytree(field(unravel(jnp.asarray(y, flat.dtype))))[0], np.float64)

    solver = RK45(
        weakref.proxy(flat_field),  # SciPy's solver is a reference cycle, which must not keep what the field holds
        0.0,
        np.asarray(flat, np.float64),
        time,
        rtol=rtol,
        atol=float(atol),
    )
    steps = 0
    while solver.status == "running" and solver.nfev < 6 * max_steps:
        solver.step()
        steps += 1
    reached = solver.status == "finished" and bool(np.isfinite(solver.y).all())
    state = unravel(jnp.asarray(solver.y, flat.dtype))
    return SmoothSolution(state, jnp.asarray(solver.nfev), jnp.asarray(steps), jnp.asarray(reached))
