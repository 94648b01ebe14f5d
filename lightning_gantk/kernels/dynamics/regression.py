"""Labels regressed by gradient flow: the mean of the NTK ensemble (Lee et al., 2019; GA-NTK, Zhang et al., 2022)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved
from lightning_gantk.kernels.dynamics.krylov import phi_product
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops


@dataclass(frozen=True)
class Regression(GradientFlow):
    """``w' = y - K w`` for a time: f = (I - exp(-tau K)) y on the points, y the labels of reals and fakes.

    Attributes:
        targets: The labels (real, fake).
        ridge: Adds this share of the mean eigenvalue to K.
    """

    targets: tuple[float, float] = field(kw_only=True)
    ridge: float = field(default=0.0, kw_only=True)

    @property
    def whole(self) -> bool:
        return True

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
        raise ConfigError(
            f"The regression needs the Gram matrix of the batch; that of {len(mass)} samples is too large."
        )

    def weights_from_matrix(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """As for ``GradientFlow``."""
        some = mass > 0
        matrix = jnp.where(some[:, None] & some, matrix.astype(mass.dtype), 0)
        shift = self.ridge * jnp.trace(matrix) / jnp.sum(some)
        labels = jnp.where(some, jnp.where(fake, self.targets[1], self.targets[0]), 0).astype(mass.dtype)
        found, count, error = phi_product(lambda v: matrix @ v + shift * v, labels, self.time, self.rtol)
        return Solved(found, jnp.isfinite(error), error, count)
