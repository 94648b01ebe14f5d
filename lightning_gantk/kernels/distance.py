"""Kernels that are a function of the distance of two samples, and of their lengths."""

import math
from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend, check_samples, differentiable_gram
from lightning_gantk.kernels.backends.jax_vectors import JaxVectors
from lightning_gantk.kernels.backends.platforms import ByPlatform
from lightning_gantk.kernels.base import Kernel

Array = jax.Array


class DistanceKernel(Kernel):
    """A kernel ``F(v, q_x, q_y)`` of the mean squared difference of the coordinates and their mean squares.

    One of your own is F and its scale. Gradients are exact where samples meet, and keep their digits between near ones.

    Attributes:
        scale: The v across which the kernel changes, some 1 / |F_v| at F = 1; 0 where it has a cusp at v = 0, and where
            nobody says.
    """

    scale: float = 0.0

    @abstractmethod
    def of_distance(self, v: Array, q_x: Array, q_y: Array, dimensions: int) -> Array:
        """Kernel values of pairs, elementwise.

        Args:
            v: ``|x - y|^2 / d``.
            q_x: ``|x|^2 / d``, which broadcasts to v.
            q_y: ``|y|^2 / d``, likewise.
            dimensions: d, the number of coordinates of a sample.
        """

    def __call__(self, x: Array, y: Array) -> Array:
        check_samples(x, y)
        backend = self._in_jax(math.prod(x.shape[1:]), tiles.CPU)
        return differentiable_gram(backend, backend, x, y)

    def of_pair(self, x: Array, y: Array) -> Array:
        return self.of_distance(jnp.mean((x - y) ** 2), jnp.mean(x * x), jnp.mean(y * y), x.size)

    def energy(self, x: Array) -> Array:
        """``F - 2 F_v + 4 q F_qq' / d`` at v = 0 and q = q' = |x|^2 / d, where of v d_a d'_a v alone is not 0."""
        if not self.scale:
            raise ConfigError(f"{self!r} has a cusp where samples meet: no second derivatives. A smooth one is RBF.")
        d = math.prod(x.shape[1:])
        q = jnp.mean(x.reshape(len(x), -1) ** 2, 1)

        def function(v: Array, q_x: Array, q_y: Array) -> Array:
            return jnp.sum(self.of_distance(v, q_x, q_y, d))

        at = jnp.zeros_like(q), q, q
        slope = jax.grad(function, 0)(*at)
        crossed = jax.grad(lambda *a: jnp.sum(jax.grad(function, 1)(*a)), 2)(*at)
        return self.of_distance(*at, d) - 2 * slope + 4 * q * crossed / d

    def backend(self, shape: tuple[int, ...], dtype: str) -> Backend:
        cpu, other = (self._in_jax(math.prod(shape), array_bytes) for array_bytes in (tiles.CPU, tiles.GPU))
        return ByPlatform(cpu, other)

    def _in_jax(self, dimensions: int, array_bytes: int) -> JaxVectors:
        def kernel(v: Array, difference: Any, q_x: Array, q_y: Array, *, paired: bool = False) -> Array:
            q_x, q_y = (q_x, q_y) if paired else (q_x[None], q_y[:, None])
            return self.of_distance(v, q_x, q_y, dimensions)

        return JaxVectors(lambda q: q, kernel, self.scale, array_bytes)


def length(square: Array) -> Array:
    """The square root, whose derivative at 0 is taken as 0: the mean over all directions."""
    some = square > 0  # both branches of a `where` are differentiated: none may divide by 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1)), 0)
