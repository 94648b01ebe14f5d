"""The best discriminator of a penalised objective: ``argmax L(f) - (lambda / 2) |f|_H^2``.

Its dual weights solve ``lambda w_p = mass_p slope_p(f_p)``, f = f_0 + K w. For IPM that is gradient flow for a time of
1 / lambda; for other losses it is where no flow leads.
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics.gradient_flow import Solved
from lightning_gantk.kernels.dynamics.one_solver import OfMatrix

_NEWTON_STEPS = 60
_HALVINGS = 40


@dataclass(frozen=True)
class Ridge(OfMatrix):
    """Newton's method with step halving, on concave objectives: one step for LSGAN.

    Attributes:
        ridge: lambda, positive.
    """

    ridge: float = field(kw_only=True)

    @property
    def reach(self) -> float:
        return 1 / self.ridge

    def without_matrix(self, samples: int) -> str:
        return (
            f"The ridge solution of {self.loss!r} needs the Gram matrix of the batch, and that of {samples} samples "
            "is too large: take smaller batches, or IPM, which needs none."
        )

    def weights_from_matrix(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """As for ``GradientFlow``, by linear systems of all points."""
        matrix = matrix.astype(mass.dtype)

        def objective(w: jax.Array, f: jax.Array) -> jax.Array:
            values = jnp.where(fake, self.loss.a(f), -self.loss.b(f))
            return jnp.sum(jnp.where(mass > 0, mass * values, 0)) - self.ridge / 2 * w @ (f - f_0)

        def step(state: tuple) -> tuple:
            w, f, count, _ = state
            slope, curvature = jax.jvp(lambda f: self.slopes(f, fake), (f,), (jnp.ones_like(f),))
            system = -(mass * curvature)[:, None] * matrix + self.ridge * jnp.eye(len(mass), dtype=mass.dtype)
            move = jnp.linalg.solve(system, mass * slope - self.ridge * w)
            change, before = matrix @ move, objective(w, f)

            def too_far(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
                size, halvings = pair
                after = objective(w + size * move, f + size * change)
                return ~(after >= before) & (halvings < _HALVINGS)

            size, _ = jax.lax.while_loop(
                too_far, lambda pair: (pair[0] / 2, pair[1] + 1), (jnp.ones((), mass.dtype), jnp.array(0))
            )
            left = jnp.max(jnp.abs(change)) / (1 + jnp.max(jnp.abs(f)))
            return w + size * move, f + size * change, count + 1, left

        def unfinished(state: tuple) -> jax.Array:
            return (state[3] > self.rtol) & (state[2] < _NEWTON_STEPS)

        start = jnp.zeros_like(mass), f_0, jnp.array(0), jnp.array(jnp.inf, mass.dtype)
        w, _, count, left = jax.lax.while_loop(unfinished, step, start)
        return Solved(w, (left <= self.rtol) & jnp.all(jnp.isfinite(w)), left, count)
