"""What a backend is: sums over one kernel, for samples of one shape and dtype."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from lightning_gantk.errors import ConfigError


class Backend(ABC):
    """Computes ``s(x) = sum_p k(x, p) w_p``, its gradient and Gram matrices, tile by tile.

    Samples of homogeneous kernels are complex numbers with more digits than a real one has: see ``directions``.

    Attributes:
        name: What it is, in words, for logs.
        grouped: Whether its precision gains from groups of points that lie close together being given one by one.
        block: Rows of the blocks that a symmetric Gram matrix is made of.
    """

    name: str
    grouped: bool = False
    block: int = 256

    @abstractmethod
    def gram(self, x: Inexact[Array, "N ..."], y: Inexact[Array, "M ..."]) -> Float[Array, "N M"]:
        """The Gram matrix of samples."""

    def symmetric_gram(self, x: Inexact[Array, "N ..."]) -> Float[Array, "N N"]:
        """The Gram matrix of N samples, symmetric to the last bit."""
        matrix = self.gram(x, x)
        return (matrix + matrix.T) / 2

    @abstractmethod
    def scores(
        self, x: Inexact[Array, "N ..."], points: Inexact[Array, "P ..."], weights: Float[Array, " P"]
    ) -> Float[Array, " N"]:
        """``s(x) = sum_p k(x, p) w_p``."""

    @abstractmethod
    def scores_and_gradient(
        self, x: Inexact[Array, "N ..."], points: Inexact[Array, "P ..."], weights: Float[Array, " P"]
    ) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
        """Scores and ``ds(x_i)/dx_i``, in the shape of x."""

    def scores_and_gradient_at_points(
        self, points: Inexact[Array, "P ..."], weights: Float[Array, " P"], first: int
    ) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
        """The same at the first of the points themselves: a backend may work each pair of those out once."""
        return self.scores_and_gradient(points[:first], points, weights)

    def of_groups(
        self,
        x: Inexact[Array, "N ..."],
        points: Inexact[Array, "P ..."],
        weights: Float[Array, " P"],
        first: int | None,
    ) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
        """Scores and gradient where the first points and the others lie in two places: precision may gain from it."""
        return _total([self.scores_and_gradient(x, *group) for group in self.groups(points, weights, first)])

    def of_groups_at_points(
        self, points: Inexact[Array, "P ..."], weights: Float[Array, " P"], first: int, count: int
    ) -> tuple[Float[Array, " N"], Float[Array, "N ..."]]:
        """The same at the first ``count`` of the first group itself."""
        own, *others = self.groups(points, weights, first)
        parts = [self.scores_and_gradient(points[:count], *group) for group in others]
        return _total([self.scores_and_gradient_at_points(*own, count), *parts])

    def groups(
        self, points: Inexact[Array, "P ..."], weights: Float[Array, " P"], first: int | None
    ) -> list[tuple[Inexact[Array, "G ..."], Float[Array, " G"]]]:
        """Points and weights, apart where precision gains from it."""
        if not self.grouped or not first or first == len(points):
            return [(points, weights)]
        return [(points[:first], weights[:first]), (points[first:], weights[first:])]


def _total(parts: list[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    values, gradients = zip(*parts, strict=True)
    return functools.reduce(jnp.add, values), functools.reduce(jnp.add, gradients)


class Differentiable(Backend):
    """A backend whose Gram matrices have derivatives."""

    @abstractmethod
    def pullback(
        self, x: Inexact[Array, "N ..."], y: Inexact[Array, "M ..."], cotangent: Float[Array, "N M"]
    ) -> Float[Array, "N ..."]:
        """``sum_j cotangent_ij dk(x_i, y_j)/dx_i``, in the shape of x."""


def differentiable_gram(backend: Backend, derivatives: Differentiable, x: jax.Array, y: jax.Array) -> jax.Array:
    """A backend's Gram matrix ``(N, M)``, with derivatives (in reverse mode, once) by another's.

    Raises:
        ConfigError: If these are differentiated again.
    """
    pullback = _once(derivatives.pullback)

    @jax.custom_vjp
    def matrix(x: jax.Array, y: jax.Array) -> jax.Array:
        return backend.gram(x, y)

    def forward(x: jax.Array, y: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        return matrix(x, y), (x, y)

    def backward(saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, y = saved
        return pullback(x, y, cotangent), pullback(y, x, cotangent.T)

    matrix.defvjp(forward, backward)
    return matrix(x, y)


def check_samples(*batches: Any) -> None:
    """Refuses what a kernel cannot be called on: arrays of JAX or numpy, all of samples of one shape.

    Raises:
        ConfigError: If one is something else, a tensor of torch say, or two have samples of different shapes.
    """
    for batch in batches:
        if not isinstance(batch, jax.Array | np.ndarray) or batch.ndim < 2:
            raise ConfigError(
                "A kernel is called on arrays of JAX, (N, d) or (N, H, W, C), got "
                f"{type(batch).__name__} {tuple(getattr(batch, 'shape', ()))}: jnp.asarray(samples) makes them."
            )
        if batch.shape[1:] != batches[0].shape[1:]:
            raise ConfigError(f"A kernel is of samples of one shape, got {batches[0].shape[1:]} and {batch.shape[1:]}.")


def _once(pullback: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """What pulls back, with an error in the place of its derivatives: closed forms hide from JAX what moves in them."""

    def refuse(*_: object) -> Any:
        raise ConfigError(
            "Derivatives of a Gram matrix have no derivatives of their own: take Kernel.of_pair(x, y) of two samples."
        )

    guarded = jax.custom_vjp(lambda *arguments: pullback(*arguments))
    guarded.defvjp(lambda *arguments: (pullback(*arguments), None), refuse)
    return guarded
