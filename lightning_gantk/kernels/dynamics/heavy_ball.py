"""Training as a heavy ball: gradient steps with momentum, in continuous time.

With inertia e the dual weights (see ``dynamics``) follow

    e w_p'' + w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = w'(0) = 0

which is gradient flow at e = 0. Steps ``v <- momentum v + rate slope``, ``w <- w + v`` (Polyak, 1964) are such a flow
to second order in the step ``rate / (1 - momentum)``, with ``e = rate (1 + momentum) / (2 (1 - momentum)^2)``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops


@dataclass(frozen=True)
class HeavyBall(GradientFlow):
    """The flow of a heavy ball for a time: in closed form for IPM, by an adaptive ODE solve for other losses.

    Attributes:
        inertia: e, positive.
    """

    inertia: float = field(kw_only=True)

    @property
    def reach(self) -> float:
        """A constant force moves it for the time, less what it takes to get going."""
        return self.time + self.inertia * math.expm1(-self.time / self.inertia)

    @property
    def one_solver(self) -> bool:
        return True

    @property
    def on_host(self) -> bool:
        return False

    def weights_by_products(
        self,
        product: Callable[[jax.Array], jax.Array],
        mass: jax.Array,
        fake: jax.Array,
        f_0: jax.Array,
        loops: Loops = COMPILED,
        stiff: Callable[[], Solved] | None = None,
    ) -> Solved:
        """As for ``GradientFlow``."""
        return self._first(product, mass, fake, f_0, loops)

    def _first(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        """A solve for u = w / mass and its speed; arguments as for ``GradientFlow``."""

        def flow(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            u, speed = state
            force = rate(f_0 + product(mass * u), mass, fake)
            return speed, (force - speed) / self.inertia

        rate, zero = loops.once("rate", self._rate), jnp.zeros_like(mass)
        speed = jnp.max(jnp.abs(product(mass)))
        solution = loops.ode(
            flow,
            (zero, zero),
            self.time,
            rtol=self.rtol,
            atol=self.rtol / jnp.maximum(1 / self.time, speed),
            max_steps=self.max_steps,
        )
        error = (solution.errors * self.rtol).astype(mass.dtype)
        return Solved(mass * solution.state[0], solution.reached, error, solution.evaluations + 1)
