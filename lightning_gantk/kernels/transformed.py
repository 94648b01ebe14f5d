"""A kernel of transformed samples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lightning_gantk.architectures.transforms import LIMIT, Transform, check_transform
from lightning_gantk.kernels.base import Kernel, Products

_FUNCTIONS = {
    "identity": lambda x: x,
    "tanh": jnp.tanh,
    "atanh": lambda x: jnp.arctanh(jnp.clip(x, -LIMIT, LIMIT)),
}


class TransformedKernel(Kernel):
    """``k(h(x), h(y))``, with h acting on every coordinate; see ``architectures.Transformed``.

    Args:
        kernel: k.
        transform: "tanh", "atanh" or "identity".

    Raises:
        ConfigError: If the transform is unknown.
    """

    def __init__(self, kernel: Kernel, transform: Transform = "tanh"):
        check_transform(transform)
        self.kernel, self.transform = kernel, transform

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        function = _FUNCTIONS[self.transform]
        return self.kernel(function(x), function(y))

    def check(self, in_shape: tuple[int, ...]) -> None:
        self.kernel.check(in_shape)

    def products(self, shape: tuple[int, ...], dtype: str) -> Products | None:
        inner = self.kernel.products(shape, dtype)
        return None if inner is None else _TransformedProducts(inner, _FUNCTIONS[self.transform])

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        return self.kernel.floats_per_pair(in_shape)

    def __repr__(self) -> str:
        return f"TransformedKernel({self.kernel!r}, transform={self.transform!r})"


class _TransformedProducts(Products):
    """The engine of k, given h(x) and h(y); gradients pass through h by the chain rule."""

    def __init__(self, inner: Products, function: Callable[[jax.Array], jax.Array]):
        self.inner, self.function = inner, function
        self.name, self.centred = f"{inner.name}, of transformed samples", inner.centred

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return self.inner.gram(self.function(x), self.function(y))

    def scores(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
        return self.inner.scores(self.function(x), self.function(points), weights)

    def scores_and_gradient(self, x: jax.Array, points: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        moved, pullback = jax.vjp(self.function, x)
        values, gradient = self.inner.scores_and_gradient(moved, self.function(points), weights)
        return values, pullback(gradient)[0]
