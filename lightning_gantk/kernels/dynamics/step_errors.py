"""The errors of the steps of an ODE solve, added up. Imports diffrax, which is slow."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp


class SummedErrors(diffrax.PIDController):
    """diffrax's controller, whose state has the errors of the steps that were kept, added up, over a step's tolerance.

    A step is kept where its error is below its tolerance, so that the sum is below the number of steps; most steps are
    better than they must be.
    """

    def init(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        end, state = super().init(*arguments, **options)
        return end, (state, jnp.zeros(()))

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> tuple[Any, Any, Any, Any, Any, Any]:
        state, total = controller_state
        keep, start, end, jumped, state, result = super().adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, state
        )

        def share(before: jax.Array, after: jax.Array, error: jax.Array) -> jax.Array:
            return error / (self.atol + jnp.maximum(jnp.abs(before), jnp.abs(after)) * self.rtol)

        error = self.norm(jax.tree.map(share, y0, y1_candidate, y_error))
        return keep, start, end, jumped, (state, total + jnp.where(keep, error, 0).astype(total.dtype)), result
