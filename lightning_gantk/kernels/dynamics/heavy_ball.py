"""Training as a heavy ball: gradient steps with momentum, in continuous time.

With inertia e the dual weights (see ``gradient_flow``) follow

    e w_p'' + w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = w'(0) = 0

which is gradient flow at e = 0. Steps ``v <- momentum v + rate slope``, ``w <- w + v`` (Polyak, 1964) are such a flow
to second order in the step ``rate / (1 - momentum)``, with ``e = rate (1 + momentum) / (2 (1 - momentum)^2)``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics.gradient_flow import Solved
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops
from lightning_gantk.kernels.dynamics.one_solver import OneSolver


@dataclass(frozen=True)
class HeavyBall(OneSolver):
    """The flow of a heavy ball for a time: in closed form for IPM, by an adaptive ODE solve for other losses.

    Attributes:
        inertia: e, positive.
    """

    inertia: float = field(kw_only=True)

    @property
    def reach(self) -> float:
        """A constant force moves it for the time, less what it takes to get going."""
        return self.time + self.inertia * math.expm1(-self.time / self.inertia)

    def _first(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        """A solve for u = w / mass and its speed; arguments as for ``GradientFlow``."""

        def flow(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            u, speed = state
            force = rate(f_0 + product(mass * u), mass, fake)
            return speed, (force - speed) / self.inertia

        rate = loops.once("rate", self._rate)
        return self._of_ode(flow, jnp.zeros_like(mass), product, mass, loops)
