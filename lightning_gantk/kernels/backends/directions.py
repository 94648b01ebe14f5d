"""Homogeneous kernels of vectors: samples are taken to one length first.

Where ``k(s x, p) = s k(x, p)`` for s > 0, as of ReLU networks without biases, k is a function of angles times both
lengths. Two samples in nearly one direction may have any distance, and what it leaves of their angle is a cancelled
difference; between vectors of one length the distance is the angle. Derivatives do not depend on the length of x:

    k(x, p) = |x| |p| k(x / |x|, p / |p|),    dk/dx (x, p) = |p| dk/dx (x / |x|, p / |p|).

Near samples have a difference that float32 knows to the last digit, and would lose it where both are rounded anew. So
directions are complex numbers: the imaginary part is what rounding left out of the real one, and the difference of two
is that of their real parts plus that of their imaginary ones. Of nearly opposite samples, at an angle of pi - t, a
gradient keeps a rounding over t.
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
    """Samples over the root of their mean square, in their shape and complex, and that root, ``(N,)``; 0 stays 0.

    All batches are worked out in one: XLA adds up the rows of arrays of different sizes in different orders, and equal
    samples must have equal directions, or the kink between them would pull.
    """
    samples = jnp.concatenate([flat(batch) for batch in batches])
    largest = jnp.max(jnp.abs(samples), 1)  # first, or squares leave the range of numbers
    length = largest * jnp.sqrt(mean_square(samples / jnp.where(largest > 0, largest, 1)[:, None]))
    least = jnp.finfo(samples.dtype).tiny
    inverse = jnp.maximum(1 / jnp.where(length > least, length, 1), least)
    vectors = jax.lax.complex(*_product(samples, inverse[:, None]))
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    parts = zip(batches, jnp.split(vectors, ends), jnp.split(length, ends), strict=True)
    return [(part.reshape(batch.shape), length) for batch, part, length in parts]


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """``a b`` rounded, and what the rounding left out (Dekker, 1971); b is broadcast."""
    product, (a, rest_a), (b, rest_b) = a * b, _halves(a), _halves(b)
    return product, ((a * b - product) + a * rest_b + rest_a * b) + rest_a * rest_b


def _halves(a: Array) -> tuple[Array, Array]:
    """Numbers as a sum of two with half of the digits each: products of these are exact."""
    bits = jnp.finfo(a.dtype).bits
    kind = jnp.dtype(f"uint{bits}")
    mask = jnp.array(2**bits - 2 ** (jnp.finfo(a.dtype).nmant // 2 + 1), kind)
    head = jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(a, kind) & mask, a.dtype)
    return head, a - head
