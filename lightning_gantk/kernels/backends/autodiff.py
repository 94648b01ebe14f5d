"""Any kernel, called on tiles of rows and differentiated by JAX."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.base import Kernel

Array = jax.Array
_BUDGET = 512 * 2**20  # bytes for one tile of a kernel whose inner workings are not ours


@dataclass(frozen=True)
class Autodiff(Backend):
    """Sums over any kernel.

    The gradient of s(x_i) depends on x_i alone: one pullback of the sum gives every sample's, together with the values.

    Attributes:
        kernel: The kernel.
    """

    kernel: Kernel
    name = "differentiated by JAX"

    def gram(self, x: Array, y: Array) -> Array:
        return tiles.by_rows(lambda tile: self.kernel(tile, y), x, self._rows(x, len(y)))

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        return tiles.by_rows(lambda tile: self.kernel(tile, points) @ weights, x, self._rows(x, len(points)))

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        def one_tile(tile: Array) -> tuple[Array, Array]:
            values, pullback = jax.vjp(lambda t: self.kernel(t, points) @ weights, tile)
            return values, pullback(jnp.ones_like(values))[0]

        return tiles.by_rows(one_tile, x, self._rows(x, len(points)))

    def _rows(self, x: Array, count: int) -> int:
        """Rows of one tile against ``count`` points within the budget."""
        shape = (x.shape[-1], *x.shape[1:-1])  # the kernel speaks of (C, H, W)
        return max(1, _BUDGET // (count * self.kernel.floats_per_pair(shape) * x.dtype.itemsize))
