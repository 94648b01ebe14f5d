"""Homogeneous kernels of vectors: samples are taken to one length first.

Where ``k(s x, p) = s k(x, p)`` for s > 0, as of ReLU networks without biases, k is a function of angles times both
lengths. Two samples in nearly one direction may have any distance, and what it leaves of their angle is a cancelled
difference; between vectors of one length the distance is the angle. Derivatives do not depend on the length of x:

    k(x, p) = |x| |p| k(x / |x|, p / |p|),    dk/dx (x, p) = |p| dk/dx (x / |x|, p / |p|).
"""

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.backends.base import Backend, Differentiable
from lightning_gantk.kernels.backends.vectors import flat, mean_square

Array = jax.Array


class Directions(Backend):
    """Sums over a homogeneous kernel by those of another backend over samples of mean square 1.

    Args:
        inner: That backend.
    """

    def __init__(self, inner: Backend):
        self.inner = inner
        self.name, self.grouped, self.block = f"{inner.name}, of directions", inner.grouped, inner.block

    def gram(self, x: Array, y: Array) -> Array:
        (x, of_x), (y, of_y) = _directions(x, y)
        return of_x[:, None] * of_y * self.inner.gram(x, y)

    def symmetric_gram(self, x: Array) -> Array:
        ((x, length),) = _directions(x)
        return length[:, None] * length * self.inner.symmetric_gram(x)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        (x, length), (points, of_points) = _directions(x, points)
        return length * self.inner.scores(x, points, of_points * weights)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        return self.of_groups(x, points, weights, None)

    def of_groups(self, x: Array, points: Array, weights: Array, first: int | None) -> tuple[Array, Array]:
        (x, length), (points, of_points) = _directions(x, points)
        values, gradient = self.inner.of_groups(x, points, of_points * weights, first)
        return length * values, gradient

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        return self.of_groups_at_points(points, weights, len(points), first)

    def of_groups_at_points(self, points: Array, weights: Array, first: int, count: int) -> tuple[Array, Array]:
        ((points, length),) = _directions(points)
        values, gradient = self.inner.of_groups_at_points(points, length * weights, first, count)
        return length[:count] * values, gradient


class DifferentiableDirections(Directions, Differentiable):
    """The same of a backend whose Gram matrices have derivatives."""

    def __init__(self, inner: Differentiable):
        super().__init__(inner)
        self._derivatives = inner

    def pullback(self, x: Array, y: Array, cotangent: Array) -> Array:
        (x, _), (y, of_y) = _directions(x, y)
        return self._derivatives.pullback(x, y, of_y * cotangent)


def _directions(*batches: Array) -> list[tuple[Array, Array]]:
    """Samples over the root of their mean square, in their shape, and that root, ``(N,)``; 0 stays 0.

    All batches are worked out in one: XLA adds up the rows of arrays of different sizes in different orders, and equal
    samples must have equal directions, or the kink between them would pull.
    """
    samples = jnp.concatenate([flat(batch) for batch in batches])
    largest = jnp.max(jnp.abs(samples), 1)  # first, or squares leave the range of numbers
    vectors = samples / jnp.where(largest > 0, largest, 1)[:, None]
    root = jnp.sqrt(mean_square(vectors))
    vectors = vectors / jnp.where(root > 0, root, 1)[:, None]
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    parts = zip(batches, jnp.split(vectors, ends), jnp.split(largest * root, ends), strict=True)
    return [(part.reshape(batch.shape), length) for batch, part, length in parts]
