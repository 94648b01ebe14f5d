"""Flows whose weights one solver finds, whatever the loss; there is no second for where it comes to no end."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops

_STEPS = 100_000  # of an ODE, after which to give up


@dataclass(frozen=True)
class OneSolver(GradientFlow):
    """A flow of one solver, ``_first``, which knows K by products."""

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

    def _of_ode(
        self,
        flow: Callable[[tuple[jax.Array, jax.Array]], tuple[jax.Array, jax.Array]],
        beside: jax.Array,
        product: Callable,
        mass: jax.Array,
        loops: Loops,
    ) -> Solved:
        """The weights whose u = w / mass follows an ODE beside another variable, which starts at ``beside``."""
        speed = jnp.max(jnp.abs(product(mass)))
        solution = loops.ode(
            flow,
            (jnp.zeros_like(mass), beside),
            self.time,
            rtol=self.rtol,
            atol=self.rtol / jnp.maximum(1 / self.time, speed),
            max_steps=_STEPS,
        )
        error = (solution.errors * self.rtol).astype(mass.dtype)
        return Solved(mass * solution.state[0], solution.reached, error, solution.evaluations + 1)


@dataclass(frozen=True)
class OfMatrix(OneSolver):
    """One whose solver needs the Gram matrix as it is, ``weights_from_matrix``."""

    @property
    def whole(self) -> bool:
        return True

    @abstractmethod
    def without_matrix(self, samples: int) -> str:
        """What to say where the matrix of so many samples is too large."""

    def weights_by_products(
        self,
        product: Callable[[jax.Array], jax.Array],
        mass: jax.Array,
        fake: jax.Array,
        f_0: jax.Array,
        loops: Loops = COMPILED,
        stiff: Callable[[], Solved] | None = None,
    ) -> Solved:
        raise ConfigError(self.without_matrix(len(mass)))
