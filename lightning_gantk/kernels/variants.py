"""Training from an f_0 that is not 0, or by another motion than gradient flow."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import Dynamics
from lightning_gantk.kernels.engine import Trained
from lightning_gantk.kernels.heavy_ball import HeavyBall


def variant(kernel: Kernel, motion: Dynamics | HeavyBall, dtype: str) -> Callable[..., Trained]:
    """A compiled ``fit(real, fake, real_count, fake_count, real_f_0, fake_f_0)``.

    As ``Engine.fit``, with the values of f_0 at the points, ``(M,)`` and ``(N,)``, filling included.
    """

    @jax.jit
    def fit(
        real: jax.Array,
        fake: jax.Array,
        real_count: jax.Array,
        fake_count: jax.Array,
        real_f_0: jax.Array,
        fake_f_0: jax.Array,
    ) -> tuple[jax.Array, ...]:
        points = jnp.concatenate([fake, real]).astype(dtype)
        sides = ((len(fake), fake_count), (len(real), real_count))
        mass = jnp.concatenate([jnp.where(jnp.arange(rows) < count, 1 / count, 0) for rows, count in sides])
        is_fake = jnp.arange(len(points)) < len(fake)
        f_0 = jnp.concatenate([fake_f_0, real_f_0]).astype(dtype)
        return points, *motion.weights(kernel, points, mass.astype(dtype), is_fake, f_0=f_0)

    return lambda real, fake, *others: Trained(*fit(real, fake, *others), fakes=len(fake))
