"""Training that goes on from a function and forgets: gradient flow with decay.

With lambda > 0 the dual weights (see ``gradient_flow``) follow, beside a function f_0 that decays too,

    w_p' = mass_p slope_p(f_p) - lambda w_p,  f = f_0 exp(-lambda t) + K w,  w(0) = 0

One Euler step of size h is ``f <- (1 - h lambda) f + h (...)`` (Becker, Pandit, Rangan and Fletcher, NeurIPS 2022).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics.gradient_flow import Solved
from lightning_gantk.kernels.dynamics.krylov import phi_product
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops
from lightning_gantk.kernels.dynamics.one_solver import OneSolver


@dataclass(frozen=True)
class DecayingFlow(OneSolver):
    """Gradient flow with decay: in closed form for IPM, in Krylov spaces for LSGAN, by an ODE solve for other losses.

    Attributes:
        decay: lambda, positive.
    """

    decay: float = field(kw_only=True)

    @property
    def remaining(self) -> float:
        return math.exp(-self.decay * self.time)

    @property
    def reach(self) -> float:
        """Under a constant slope of 1 a weight of mass 1 comes so far."""
        return -math.expm1(-self.decay * self.time) / self.decay

    def _affine(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        """slope(f) = s - c f: with D = diag(mass c), ``w' = mass s - D f_0 exp(-lambda t) - (D K + lambda) w``.

        The forces act apart: under the second, ``w = exp(-lambda t) y`` with ``y' = -D f_0 - D K y``.
        """
        zero, slopes = jnp.zeros_like(f_0), loops.once("slopes", self.slopes)
        start = slopes(zero, fake)
        curvature = start - slopes(zero + 1, fake)
        root = jnp.sqrt(mass * curvature)

        def damped(v: jax.Array) -> jax.Array:
            return root * product(root * v)

        def flow(force: jax.Array, shift: float) -> tuple[jax.Array, jax.Array, jax.Array]:
            return phi_product(lambda v: damped(v) + shift * v, force, self.time, self.rtol, loops)

        driven, count, error = flow(jnp.sqrt(mass / curvature) * start, self.decay)
        past, more, other = flow(root * f_0, 0.0)
        past = self.remaining * past
        found = driven - past
        # Each has its error over its own length, of which little may be left in the difference.
        of_driven, of_past = damped(driven), damped(past)
        sizes = (driven @ (of_driven + self.decay * driven), past @ of_past, found @ (of_driven - of_past))
        one, two, whole = (jnp.sqrt(jnp.maximum(size, jnp.finfo(size.dtype).tiny)) for size in sizes)
        error = (error * one + other * two) / whole
        return Solved(root * found, jnp.isfinite(error), error, count + more + 2)

    def _smooth(
        self,
        product: Callable,
        mass: jax.Array,
        fake: jax.Array,
        f_0: jax.Array,
        loops: Loops = COMPILED,
        *,
        implicit: bool = False,
    ) -> Solved:
        """A solve for u = w / mass and what is left of f_0."""
        rate = loops.once("rate", self._rate)

        def flow(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            u, left = state
            return rate(left * f_0 + product(mass * u), mass, fake) - self.decay * u, -self.decay * left

        return self._of_ode(flow, jnp.ones((), mass.dtype), product, mass, loops)
