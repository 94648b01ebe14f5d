"""What the rows are compared with: neural-tangents as GAN(TK)^2 uses it, dense linear algebra, the matrix products."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lightning_gantk.architectures import Architecture
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.neural_tangents import load
from lightning_gantk.losses import AdversarialLoss

Array = jax.Array


def ipm(architecture: Architecture) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    """Scores and gradient with whole Gram matrices, jitted: ``(x, points, weights)``."""
    kernel = ArchitectureKernel(architecture, backend="neural-tangents")

    @jax.jit
    def run(x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        values, pullback = jax.vjp(lambda x: kernel(x, points) @ weights, x)
        return values, pullback(jnp.ones_like(values))[0]

    return run


def matrix_products(x: Array, points: Array) -> Array:
    """The two matrix products that scores and gradient cannot do without."""
    x, points = x.reshape(len(x), -1), points.reshape(len(points), -1)
    return (x @ points.T) @ points


def eigh_weights(matrix: Array, time: float) -> Array:
    """LSGAN's dual weights by an eigendecomposition of the Gram matrix, fakes first."""
    points = len(matrix)
    values, vectors = jnp.linalg.eigh(matrix)
    values = jnp.maximum(values, 0)
    rate = 4 * time / points
    phi = jnp.where(values * rate > 1e-8, -jnp.expm1(-rate * values) / jnp.maximum(values, 1e-30), rate)
    return vectors @ (phi * (vectors.T @ targets(points)))


def targets(points: int) -> Array:
    """-1 on fakes, +1 on reals."""
    return jnp.where(jnp.arange(points) < points // 2, -1.0, 1.0)


def lsgan_step(architecture: Architecture, time: float) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Fit, scores and gradient at the fakes by ``gradient_descent_mse``: ``(x, points)``.

    Kernels are jitted; the predictor keeps its eigenbasis in a cache and cannot be.
    """
    kernel, predict = jax.jit(ArchitectureKernel(architecture, backend="neural-tangents")), load().predict

    def run(x: Array, points: Array) -> tuple[Array, Array]:
        descend = predict.gradient_descent_mse(kernel(points, points), targets(len(points))[:, None])

        def scores(x: Array) -> Array:
            zeros = jnp.zeros((len(points), 1)), jnp.zeros((len(x), 1))
            return descend(4 * time, *zeros, kernel(x, points))[1][:, 0]

        values, pullback = jax.vjp(scores, x)
        return values, pullback(jnp.ones_like(values))[0]

    return run


def ode_fit(loss: AdversarialLoss, architecture: Architecture, time: float) -> Callable[[Array], Array]:
    """The outputs on the training points at time t by ``gradient_descent``: ``points ->`` ``(P,)``."""
    kernel, predict = ArchitectureKernel(architecture, backend="neural-tangents"), load().predict

    @jax.jit
    def run(points: Array) -> Array:
        half, zeros = len(points) // 2, jnp.zeros((len(points), 1))
        matrix = kernel(points, points)
        descend = predict.gradient_descent(lambda f, _: -loss.discriminator(f[half:, 0], f[:half, 0]), matrix, zeros)
        return descend(time, zeros)[:, 0]

    return run
