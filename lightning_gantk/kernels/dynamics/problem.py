"""A problem of training in JAX, and what comes of it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.dynamics import piecewise
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved

Count = int | jax.Array | tuple[int | jax.Array, int | jax.Array]  # of samples; of a part, with that of the whole
Values = tuple[jax.Array, jax.Array] | None  # of a function on the fakes and on the reals


@dataclass(frozen=True)
class Trained:
    """A trained discriminator.

    Attributes:
        points: Training points ``(P, ...)``, fakes and then reals, each filled up to its capacity.
        weights: Dual weights ``(P,)``; 0 on filling; NaN where the solver came to no end.
        converged: Whether the solver came to its end (a scalar boolean).
        error: What the solver says of its error, see ``gradient_flow.Solved``.
        products: How many products with the Gram matrix the weights took.
        fakes: How many of the points are fakes or their filling.
    """

    points: jax.Array
    weights: jax.Array
    converged: jax.Array
    error: jax.Array
    products: jax.Array
    fakes: int


def none_unsolved(found: Solved) -> Solved:
    """NaN for weights of a solver that came to no end: whoever does not wait to hear of it must not take them."""
    return found._replace(weights=jnp.where(found.converged, found.weights, jnp.nan))


def start_of(f_0: Values, mass: jax.Array) -> jax.Array:
    """f_0 on the training points, in the dtype of their masses."""
    return jnp.zeros_like(mass) if f_0 is None else jnp.concatenate(f_0).astype(mass.dtype)


def problem(
    dtype: str, real: jax.Array, fake: jax.Array, real_count: Count, fake_count: Count
) -> tuple[jax.Array, jax.Array]:
    """Training points and their masses."""
    mass = jnp.concatenate([_mass(len(fake), fake_count, dtype), _mass(len(real), real_count, dtype)])
    return _join(real, fake).astype(dtype), mass


def _join(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.concatenate([fake, real])


def _mass(rows: int, count: Count, dtype: str) -> jax.Array:
    there, whole = count if isinstance(count, tuple) else (count, count)
    return jnp.where(jnp.arange(rows) < there, 1 / jnp.asarray(whole, dtype), 0).astype(dtype)


def solved_on_host(
    flow: GradientFlow,
    gram: piecewise.Gram,
    mass: np.ndarray,
    fakes: int,
    f_0: tuple[np.ndarray, np.ndarray] | None,
    device: Any,
) -> Solved:
    """The weights of a flow that goes from event to event, ``(P,)`` in the dtype of the masses, on a device."""
    begin = np.zeros(len(mass)) if f_0 is None else np.concatenate(f_0).astype(mass.dtype)
    found = flow.weights_on_host(gram, mass.astype(np.float64), fakes, begin.astype(np.float64))
    weights = (found.weights if found.reached else np.full_like(found.weights, np.nan)).astype(mass.dtype)
    return Solved(*jax.device_put((weights, found.reached, found.drift, found.events), device))  # one crossing back
