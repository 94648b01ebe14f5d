"""An explicit solver for flows that are not stiff: adaptive steps of Tsitouras' Runge-Kutta method of order 5."""

from collections.abc import Callable
from typing import Any

import jax

from lightning_gantk.kernels.stabilised import Solution


def solve(field: Callable[[Any], Any], start: Any, time: float, *, rtol: float, max_steps: int) -> Solution:
    """Solves ``y' = field(y)`` from ``start``, any pytree, for a time.

    Args:
        field: The right-hand side.
        start: State at time 0.
        time: Length of the solve.
        rtol: Relative tolerance of a step, and the absolute one of states of the order of the time (of 1 at most).
        max_steps: Steps after which to give up.

    Returns:
        The solution.
    """
    import diffrax  # takes a second to import, and few runs need it

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(y)),
        diffrax.Tsit5(),
        t0=0.0,
        t1=time,
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * min(1.0, time)),
        max_steps=max_steps,
        throw=False,
    )
    state = jax.tree.map(lambda saved: saved[0], solution.ys)
    evaluations = 6 * solution.stats["num_steps"] + 2  # of seven stages the last is the next step's first
    return Solution(state, evaluations, solution.result == diffrax.RESULTS.successful)
