"""Sums in JAX over a kernel that follows every pixel of a pair through the layers (convolutions under a Flatten top).

Arrays are pixel-major, ``(H, W, C, R)`` for C training points and R test points: windows are sums over whole blocks of
pairs, and everything between is elementwise. Differences of pixels are taken exactly, so that equal patches, which
images with a plain background are full of, sit at the cusp of a ReLU-type kernel to the last digit.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Differentiable
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array
_ROWS = 32  # test points of a tile on the CPU: the innermost axis, two vector registers wide


@dataclass(frozen=True)
class JaxImages(Differentiable):
    """Sums over the kernel of an architecture for images ``(N, H, W, channels)``.

    Attributes:
        recursion: The kernel.
        array_bytes: What one array over the pairs and pixels of a tile may take: ``tiles.CPU`` or ``tiles.GPU``.
    """

    recursion: Recursion
    array_bytes: int = tiles.CPU
    name = "JAX, pixel by pixel"

    def gram(self, x: Array, y: Array) -> Array:
        rows, columns = self._tile(x, y)

        def against(x: Array) -> Array:
            pixels, side = tiles.pixels(x), self._side(tiles.pixels(x))
            return tiles.by_rows(lambda y: self._values(pixels, side, tiles.pixels(y)), y, columns).T

        return tiles.by_rows(against, x, rows)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        rows, columns = self._tile(x, points)
        count, each = tiles.even(len(points), columns)
        parts = tiles.split(points, count, each), tiles.split_weights(weights, count, each)

        def of(x: Array) -> Array:
            pixels, side = tiles.pixels(x), self._side(tiles.pixels(x))
            return tiles.accumulate(lambda part: part[1] @ self._values(pixels, side, tiles.pixels(part[0])), parts)

        return tiles.by_rows(of, x, rows)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        rows, columns = self._tile(x, points)
        count, each = tiles.even(len(points), columns)
        parts = tiles.split(points, count, each), tiles.split_weights(weights, count, each)

        def of(x: Array) -> tuple[Array, Array]:
            pixels = tiles.pixels(x)
            side, pull_side = jax.vjp(self._side, pixels)

            def against(part: tuple[Array, Array]) -> tuple[Array, Array, Any]:
                p, w = tiles.pixels(part[0]), part[1]
                values, pull = jax.vjp(lambda x, side: self._values(x, side, p), pixels, side)
                return (w @ values, *pull(jnp.broadcast_to(w[:, None], values.shape)))

            values, direct, of_side = tiles.accumulate(against, parts)
            return values, jnp.moveaxis(direct + pull_side(of_side)[0], (0, 3), (3, 0))

        return tiles.by_rows(of, x, rows)

    def pullback(self, x: Array, y: Array, cotangent: Array) -> Array:
        rows, columns = self._tile(x, y)
        (many, rows), (count, each) = tiles.even(len(x), rows), tiles.even(len(y), columns)

        def of(tile: tuple[Array, Array]) -> Array:
            x, weights = tile

            def against(part: tuple[Array, Array]) -> Array:
                p = tiles.pixels(part[0])
                _, pull = jax.vjp(lambda x: self._values(tiles.pixels(x), self._side(tiles.pixels(x)), p), x)
                return pull(part[1])[0]

            # filling has weight 0
            weights = jnp.pad(weights.T, ((0, count * each - len(y)), (0, 0))).reshape(count, each, rows)
            return tiles.accumulate(against, (tiles.split(y, count, each), weights))

        parts = tiles.split(x, many, rows), tiles.split(cotangent, many, rows)
        return jax.lax.map(of, parts).reshape(many * rows, *x.shape[1:])[: len(x)]

    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        """Most test and training points of a tile."""
        pairs = max(1, self.array_bytes // (x.shape[1] * x.shape[2] * x.dtype.itemsize))
        rows = min(len(x), max(_ROWS, int(pairs**0.5)), pairs)
        return rows, max(1, min(len(points), pairs // rows))

    def _side(self, pixels: Array) -> Any:
        return self.recursion.marginals(jnp.mean(pixels * pixels, 0))

    def _values(self, x: Array, side: Any, p: Array) -> Array:
        """Kernel values ``(C, R)`` of pixels ``(channels, H, W, R)`` and ``(channels, H, W, C)``."""
        channels = [(a[..., None, :], b[..., :, None]) for a, b in zip(x, p, strict=True)]
        v = functools.reduce(jnp.add, [(a - b) ** 2 for a, b in channels]) / len(channels)
        cross = functools.reduce(jnp.add, [(a - b) * (a + b) for a, b in channels]) / len(channels)
        difference = jax.lax.stop_gradient(cross)
        return self.recursion.kernel(v, difference, side, self._side(p))
