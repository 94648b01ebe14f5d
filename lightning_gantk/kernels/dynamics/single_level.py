"""A loss that is differentiated through the discriminator's training: GA-NTK (Zhang, Su, Chou and Wu, 2022).

F = (I - exp(-tau K)) y on all points. With K = U diag(l) U^T and v = dJ/dF,

    dJ = -tr(S^T dK),  S = U [(U^T v)(U^T y)^T o Phi] U^T,  Phi_ab = (exp(-tau l_a) - exp(-tau l_b)) / (l_a - l_b)

with the limit -tau exp(-tau l_a) where eigenvalues meet: the derivative of an eigendecomposition would divide by 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel

Objective = Literal["squared", "softmax"]


@dataclass(frozen=True)
class SingleLevel:
    """The loss of a batch and its gradient in the fakes.

    Attributes:
        kernel: The kernel.
        time: tau.
        ridge: Adds this share of the mean eigenvalue to K.
        targets: The labels (real, fake).
        objective: "squared", ``|real label - F|^2`` over all points; "softmax", the mean cross entropy of two outputs
            whose labels are one-hot.
    """

    kernel: Kernel
    time: float
    ridge: float
    targets: tuple[float, float]
    objective: Objective

    def loss_and_gradient(self, real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
        """J and ``dJ/dx`` in the shape of ``fake``."""
        points, count = jnp.concatenate([fake, real]), len(fake)
        with jax.default_matmul_precision("highest"):  # not the TF32 of recent GPUs
            matrix, pullback = jax.vjp(lambda u: self.kernel(u, u), points)
            value, cotangent = self._of_matrix((matrix + matrix.T) / 2, count)
            return value, pullback((cotangent + cotangent.T) / 2)[0][:count]

    def _of_matrix(self, matrix: jax.Array, fakes: int) -> tuple[jax.Array, jax.Array]:
        """J and dJ/dK."""
        labels, outer = self._problem(len(matrix), fakes, matrix.dtype)
        share = self.ridge / len(matrix)
        values, vectors = jnp.linalg.eigh(matrix)
        values = jnp.maximum(values, 0) + share * jnp.trace(matrix)
        turned = vectors.T @ labels
        predictions = vectors @ (-jnp.expm1(-self.time * values)[:, None] * turned)
        value, slope = jax.value_and_grad(outer)(predictions)
        inner = (vectors.T @ slope) @ turned.T * _divided_differences(values, self.time)
        cotangent = -(vectors @ inner @ vectors.T)
        return value, cotangent + share * jnp.trace(cotangent) * jnp.eye(len(matrix), dtype=matrix.dtype)

    def _problem(self, count: int, fakes: int, dtype: jnp.dtype) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
        """Labels ``(N, C)``, and J of predictions of that shape."""
        is_fake = jnp.arange(count) < fakes
        if self.objective == "squared":
            real, fake = self.targets
            return jnp.where(is_fake, fake, real)[:, None].astype(dtype), lambda f: jnp.sum((real - f) ** 2)
        labels = jnp.stack([~is_fake, is_fake], 1).astype(dtype)
        return labels, lambda f: -jnp.mean(jax.nn.log_softmax(f, 1)[:, 0])


def _divided_differences(values: jax.Array, time: float) -> jax.Array:
    """Phi ``(N, N)``: ``exp(-tau l_b) expm1(-tau (l_a - l_b)) / (l_a - l_b)``, whose digits do not cancel."""
    gap = values[:, None] - values[None]
    low = jnp.minimum(values[:, None], values[None])
    gap = jnp.abs(gap)  # symmetric in a and b
    same = gap * time < 1e-12
    ratio = jnp.where(same, -time, jnp.expm1(-time * gap) / jnp.where(same, 1, gap))
    return jnp.exp(-time * low) * ratio
