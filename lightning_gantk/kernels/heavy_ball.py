"""Training as a heavy ball: gradient steps with momentum, in continuous time.

With inertia e the dual weights (see ``dynamics``) follow

    e w_p'' + w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = w'(0) = 0

which is gradient flow at e = 0. Steps ``v <- momentum v + rate slope``, ``w <- w + v`` (Polyak, 1964) are such a flow
to second order in the step ``rate / (1 - momentum)``, with ``e = rate (1 + momentum) / (2 (1 - momentum)^2)``.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import Dynamics, Solved
from lightning_gantk.kernels.products import gram


@dataclass(frozen=True)
class HeavyBall:
    """The flow of a heavy ball for a time: in closed form for IPM, by an adaptive ODE solve for other losses.

    Attributes:
        flow: The gradient flow that it is without inertia, whose loss, time and tolerances it shares.
        inertia: e, positive.
    """

    flow: Dynamics
    inertia: float

    def weights(self, kernel: Kernel, points: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """The dual weights at time t; arguments as for ``Dynamics.weights``."""
        flow = self.flow
        if flow.time == 0:
            return Solved(jnp.zeros_like(mass), jnp.array(True), jnp.array(0))
        if flow.loss.slopes == "constant":  # how far a constant force moves it: t, less what it takes to get going
            moving = flow.time + self.inertia * math.expm1(-flow.time / self.inertia)
            return Solved(moving * mass * flow.slopes(f_0, fake), jnp.array(True), jnp.array(0))
        return self._solve(gram(kernel, points), mass, fake, f_0)

    def _solve(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """An adaptive Runge-Kutta solve for u = w / mass and its speed."""
        import diffrax  # takes a second to import, and only this needs it

        flow = self.flow

        def field(t: jax.Array, state: tuple[jax.Array, jax.Array], args: None) -> tuple[jax.Array, jax.Array]:
            u, speed = state
            f = f_0 + jnp.matmul(matrix, mass * u, precision="highest")
            force = jnp.where(mass > 0, flow.slopes(f, fake), 0)
            return speed, (force - speed) / self.inertia

        zero = jnp.zeros_like(mass)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            t0=0.0,
            t1=flow.time,
            dt0=None,
            y0=(zero, zero),
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=flow.rtol, atol=flow.rtol * min(1.0, flow.time)),
            max_steps=flow.max_steps,
            throw=False,
        )
        evaluations = 6 * solution.stats["num_steps"] + 2
        return Solved(mass * solution.ys[0][0], solution.result == diffrax.RESULTS.successful, evaluations)
