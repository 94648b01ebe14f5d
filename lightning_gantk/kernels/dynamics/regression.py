"""Labels regressed by gradient flow: the mean of the NTK ensemble (Lee et al., 2019; GA-NTK, Zhang et al., 2022)."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.dynamics.gradient_flow import Solved
from lightning_gantk.kernels.dynamics.krylov import phi_product
from lightning_gantk.kernels.dynamics.one_solver import OfMatrix


@dataclass(frozen=True)
class Regression(OfMatrix):
    """``w' = y - K w`` for a time: f = (I - exp(-tau K)) y on the points, y the labels of reals and fakes.

    Attributes:
        targets: The labels (real, fake).
        ridge: Adds this share of the mean eigenvalue to K.
    """

    targets: tuple[float, float] = field(kw_only=True)
    ridge: float = field(default=0.0, kw_only=True)

    def without_matrix(self, samples: int) -> str:
        return f"The regression needs the Gram matrix of the batch; that of {samples} samples is too large."

    def weights_from_matrix(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """As for ``GradientFlow``."""
        some = mass > 0
        matrix = jnp.where(some[:, None] & some, matrix.astype(mass.dtype), 0)
        shift = self.ridge * jnp.trace(matrix) / jnp.sum(some)
        labels = jnp.where(some, jnp.where(fake, self.targets[1], self.targets[0]), 0).astype(mass.dtype)
        found, count, error = phi_product(lambda v: matrix @ v + shift * v, labels, self.time, self.rtol)
        return Solved(found, jnp.isfinite(error), error, count)
