"""Kernels that are an inner product of finitely many features."""

from abc import abstractmethod
from collections.abc import Callable

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.base import Kernel


class FeatureKernel(Kernel):
    """``k(x, y) = <phi(x), phi(y)>`` with phi(x) in R^P.

    A sum over N points is one vector of P numbers, whatever N is. One of your own is phi.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import FeatureKernel
        >>> class Quadratic(FeatureKernel):
        ...     def features(self, x):
        ...         return jnp.concatenate([x, x**2], axis=1)
        >>> print(Quadratic()(jnp.array([[2.0]]), jnp.array([[3.0]])))  # 2 * 3 + 4 * 9
        [[42.]]
    """

    @abstractmethod
    def features(self, x: jax.Array) -> jax.Array:
        """Phi of samples ``(N, d)`` or ``(N, H, W, C)``, ``(N, P)``, differentiable by JAX."""

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.matmul(self.features(x), self.features(y).T, precision="highest")

    def backend(self, shape: tuple[int, ...], dtype: str) -> Backend:
        return _ByFeatures(self)


class _ByFeatures(Backend):
    """Sums over a kernel by its features: P numbers for each sample, and nothing for each pair."""

    name = "JAX, by features"
    block = 4096

    def __init__(self, kernel: FeatureKernel):
        self.kernel = kernel

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return self.kernel(x, y)

    def scores(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
        return self._of(points, weights)(x)

    def scores_and_gradient(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pullback = jax.vjp(self._of(points, weights), x)
        return values, pullback(jnp.ones_like(values))[0]

    def _of(self, points: jax.Array, weights: jax.Array) -> Callable[[jax.Array], jax.Array]:
        sum_of_features = jnp.matmul(weights, self.kernel.features(points), precision="highest")
        return lambda x: jnp.matmul(self.kernel.features(x), sum_of_features, precision="highest")
