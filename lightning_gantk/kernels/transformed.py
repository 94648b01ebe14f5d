"""A kernel of transformed samples."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from lightning_gantk.architectures.limit import registered
from lightning_gantk.architectures.transforms import LIMIT, Transform, Transformed, check_transform
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.base import Kernel

_FUNCTIONS = {
    "identity": lambda x: x,
    "tanh": jnp.tanh,
    "atanh": lambda x: jnp.arctanh(jnp.clip(x, -LIMIT, LIMIT)),
}


class TransformedKernel(Kernel):
    """``k(h(x), h(y))``, with h acting on every coordinate; see ``architectures.Transformed``.

    In float32 h(x) is rounded, by 6e-8 of numbers of size 1. Where k has a cusp, the gradient at a pair that h leaves
    at a distance r keeps a relative error of 6e-8 / r; float64 resolves what is nearer.

    Args:
        kernel: k.
        transform: "tanh", "atanh" or "identity".

    Raises:
        ConfigError: If the transform is unknown.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import RBF, TransformedKernel
        >>> kernel = TransformedKernel(RBF(gamma=1.0), "tanh")
        >>> round(float(kernel(jnp.array([[50.0]]), jnp.array([[60.0]]))[0, 0]), 4)  # both are 1 by then
        1.0
    """

    def __init__(self, kernel: Kernel, transform: Transform = "tanh"):
        check_transform(transform)
        if not isinstance(kernel, Kernel):
            raise ConfigError(f"TransformedKernel takes a kernel, Transformed an architecture; got {in_words(kernel)}.")
        self.kernel, self.transform, self.conditional = kernel, transform, kernel.conditional

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        function = _FUNCTIONS[self.transform]
        return self.kernel(function(x), function(y))

    def of_pair(self, x: jax.Array, y: jax.Array) -> jax.Array:
        function = _FUNCTIONS[self.transform]
        return self.kernel.of_pair(function(x), function(y))

    def check(self, in_shape: tuple[int, ...]) -> None:
        self.kernel.check(in_shape)

    def check_device(self, platform: str) -> None:
        self.kernel.check_device(platform)

    def backend(self, shape: tuple[int, ...], dtype: str) -> Backend | None:
        inner = self.kernel.backend(shape, dtype)
        return None if inner is None else _OfTransformed(inner, _FUNCTIONS[self.transform])

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        return self.kernel.floats_per_pair(in_shape)

    def __repr__(self) -> str:
        return f"TransformedKernel({self.kernel!r}, transform={self.transform!r})"


@registered.register(Transformed)
def _of(architecture: Transformed, kind: Literal["ntk", "nngp"]) -> TransformedKernel:
    return TransformedKernel(architecture.architecture.kernel(kind), architecture.transform)


class _OfTransformed(Backend):
    """The backend of k, given h(x) and h(y); gradients pass through h by the chain rule."""

    def __init__(self, inner: Backend, function: Callable[[jax.Array], jax.Array]):
        self.inner, self.function = inner, function
        self.name = f"{inner.name}, of transformed samples"
        self.grouped, self.block = inner.grouped, inner.block

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return self.inner.gram(self.function(x), self.function(y))

    def symmetric_gram(self, x: jax.Array) -> jax.Array:
        return self.inner.symmetric_gram(self.function(x))

    def scores(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
        return self.inner.scores(self.function(x), self.function(points), weights)

    def scores_and_gradient(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.of_groups(x, points, weights, None)

    def of_groups(
        self, x: jax.Array, points: jax.Array, weights: jax.Array, first: int | None
    ) -> tuple[jax.Array, jax.Array]:
        moved, pullback = jax.vjp(self.function, x)
        values, gradient = self.inner.of_groups(moved, self.function(points), weights, first)
        return values, pullback(gradient)[0]

    def scores_and_gradient_at_points(
        self, points: jax.Array, weights: jax.Array, first: int
    ) -> tuple[jax.Array, jax.Array]:
        return self.of_groups_at_points(points, weights, len(points), first)

    def of_groups_at_points(
        self, points: jax.Array, weights: jax.Array, first: int, count: int
    ) -> tuple[jax.Array, jax.Array]:
        moved, pullback = jax.vjp(self.function, points)
        values, gradient = self.inner.of_groups_at_points(moved, weights, first, count)
        rest = jnp.zeros((len(points) - count, *gradient.shape[1:]), gradient.dtype)
        return values, pullback(jnp.concatenate([gradient, rest]))[0][:count]
