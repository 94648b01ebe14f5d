"""WGAN-GP at infinite width: ``max E_fake f - E_real f - (lambda/2) |f|_H^2 - (alpha/2) E_real |grad f|^2``.

With w the witness of IPM and ``S f = (d_a f(y_j) / sqrt M)_ja`` over the M reals,

    f = (w - alpha S* v) / lambda,  (lambda + alpha S S*) v = S w,  S S* = d_a d'_b k(y_i, y_j) / M

so that f is a sum over derivatives of the kernel too: ``f(x) = sum_p w_p k(x, p) + sum_j d_j . grad_2 k(x, y_j)``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.distance import DistanceKernel
from lightning_gantk.kernels.dynamics.dtypes import OfDtype

MOST = 4096  # unknowns: reals times coordinates


@dataclass(frozen=True)
class PenalisedWitness:
    """A trained discriminator.

    Attributes:
        points: Training points ``(P, ...)``, fakes first.
        weights: ``(P,)``.
        directions: d, ``(M, d)``.
        converged: Whether all of it is finite.
        fakes: How many of the points are fakes or their filling.
    """

    points: jax.Array
    weights: jax.Array
    directions: jax.Array
    converged: jax.Array
    fakes: int


class PenalisedDiscriminator(OfDtype):
    """Compiled functions of one kernel, as ``CompiledDiscriminator`` has them.

    Args:
        kernel: A smooth function of a distance.
        ridge: lambda.
        penalty: alpha.
        dtype: "float32" or "float64".

    Raises:
        ConfigError: If the kernel has no second derivatives where samples meet.
    """

    def __init__(self, kernel: object, ridge: float, penalty: float, dtype: str):
        if not isinstance(kernel, DistanceKernel) or not kernel.scale:
            raise ConfigError(
                f"A gradient penalty takes second derivatives of the kernel, which {kernel!r} has not: take a smooth "
                "function of the distance such as RBF or InverseMultiquadric."
            )
        self.dtype = dtype
        self._fit = jax.jit(lambda *arguments: _fit(kernel.of_pair, ridge, penalty, dtype, *arguments))
        self._both = jax.jit(
            lambda x, p, w, d: jax.vmap(jax.value_and_grad(lambda x: _score(kernel.of_pair, x, p, w, d)))(x)
        )

    def fit(
        self,
        real: jax.Array,
        fake: jax.Array,
        real_count: int,
        fake_count: int,
        f_0: None = None,
        messages: object = None,
    ) -> PenalisedWitness:
        """Trains on the first ``real_count`` and ``fake_count`` rows; several processes do all of it each.

        Raises:
            ConfigError: If the linear system is too large.
        """
        unknowns = len(real) * math.prod(real.shape[1:])
        if unknowns > MOST:
            raise ConfigError(
                f"The gradient penalty at {len(real)} reals of {math.prod(real.shape[1:])} coordinates makes a system "
                f"of {unknowns} equations, more than {MOST}: take fewer reals, or points of fewer dimensions."
            )
        with self.precision():
            points, weights, directions, fine = self._fit(real, fake, real_count, fake_count)
        return PenalisedWitness(points, weights, directions, fine, len(fake))

    def scores(self, trained: PenalisedWitness, x: jax.Array) -> jax.Array:
        """Scores ``(N,)`` of test points ``(N, ...)``."""
        return self.scores_and_gradient(trained, x)[0]

    def scores_and_gradient(self, trained: PenalisedWitness, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores ``(N,)`` and their gradients at the test points ``(N, ...)``."""
        with self.precision():
            x = x.astype(self.dtype)
            values, gradient = self._both(x.reshape(len(x), -1), trained.points, trained.weights, trained.directions)
            return values, gradient.reshape(x.shape)

    def scores_and_gradient_at_fakes(self, trained: PenalisedWitness) -> tuple[jax.Array, jax.Array]:
        """The same at the fakes among the training points, filling included."""
        return self.scores_and_gradient(trained, trained.points[: trained.fakes])


Pair = Callable[[jax.Array, jax.Array], jax.Array]


def _fit(
    k: Pair,
    ridge: float,
    penalty: float,
    dtype: str,
    real: jax.Array,
    fake: jax.Array,
    real_count: jax.Array,
    fake_count: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    real, fake = (batch.reshape(len(batch), -1).astype(dtype) for batch in (real, fake))
    of_reals, of_fakes = (
        jnp.where(jnp.arange(len(batch)) < count, 1 / count, 0).astype(dtype)
        for batch, count in ((real, real_count), (fake, fake_count))
    )
    points, weights = jnp.concatenate([fake, real]), jnp.concatenate([of_fakes, -of_reals])
    root = jnp.sqrt(of_reals)[:, None]

    def witness(x: jax.Array) -> jax.Array:
        return jax.vmap(lambda p: k(x, p))(points) @ weights

    slopes = root * jax.vmap(jax.grad(witness))(real)
    crossed = jax.jacfwd(jax.grad(k, 0), 1)  # (d, d): d_a d'_b k
    blocks = jax.vmap(lambda x: jax.vmap(lambda y: crossed(x, y))(real))(real)  # (M, M, d, d)
    blocks = blocks * (root * root[:, 0])[:, :, None, None]
    size = slopes.size
    system = ridge * jnp.eye(size, dtype=dtype) + penalty * jnp.swapaxes(blocks, 1, 2).reshape(size, size)
    found = jax.scipy.linalg.solve(system, slopes.ravel(), assume_a="pos").reshape(slopes.shape)
    directions = -(penalty / ridge) * root * found
    fine = jnp.all(jnp.isfinite(directions)) & jnp.all(jnp.isfinite(points))
    return points, weights / ridge, directions, fine


def _score(k: Pair, x: jax.Array, points: jax.Array, weights: jax.Array, directions: jax.Array) -> jax.Array:
    reals = points[len(points) - len(directions) :]

    def along(y: jax.Array, direction: jax.Array) -> jax.Array:
        return jax.jvp(lambda y: k(x, y), (y,), (direction,))[1]

    return jax.vmap(lambda p: k(x, p))(points) @ weights + jnp.sum(jax.vmap(along)(reals, directions))
