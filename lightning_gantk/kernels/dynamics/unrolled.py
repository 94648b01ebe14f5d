"""Tsitouras' explicit method without a loop over its stages. Imports diffrax, which is slow."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp


class UnrolledTsit5(diffrax.AbstractAdaptiveSolver):
    """diffrax's Tsit5, stage after stage: diffrax goes through them in a loop whose length is not known beforehand, as
    the first stage is skipped where it is the last one of the step before; a GPU asks the host at each turn of such a
    loop. Here that stage is kept in any case.
    """

    term_structure = diffrax.AbstractTerm
    interpolation_cls = diffrax.LocalLinearInterpolation

    def order(self, terms: Any) -> int:
        return 5

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        return self.func(terms, t0, y0, args)

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, dict[str, Any], Any, Any]:
        tableau, length = diffrax.Tsit5.tableau, t1 - t0
        slopes, y1 = [solver_state], y0
        for row, share in zip(tableau.a_lower, tableau.c, strict=True):  # the last row is the solution's
            y1 = jax.tree.map(lambda y, change: y + length * change, y0, _weighted(row, slopes))
            slopes.append(self.func(terms, t0 + share * length, y1, args))
        error = jax.tree.map(lambda change: length * change, _weighted(tableau.b_error, slopes))
        return y1, error, {"y0": y0, "y1": y1}, slopes[-1], diffrax.RESULTS.successful


def _weighted(weights: Any, slopes: list[Any]) -> Any:
    """The sum of slopes, each by its weight."""

    def add(*each: jax.Array) -> jax.Array:
        return sum((float(w) * slope for w, slope in zip(weights, each, strict=True)), jnp.zeros_like(each[0]))

    return jax.tree.map(add, *slopes)
