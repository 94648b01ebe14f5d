"""What a kernel is: a callable on JAX arrays."""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    import jax


class Products(ABC):
    """An engine: products with one kernel, tile by tile, for samples of one shape and dtype.

    Attributes:
        name: What it is, in words, for logs.
        centred: Whether its precision gains from groups of points that lie close together being given one by one.
        block: Rows of the blocks that a symmetric Gram matrix is made of.
    """

    name: str
    centred: bool = False
    block: int = 256

    @abstractmethod
    def gram(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        """The Gram matrix ``(N, M)`` of samples ``(N, ...)`` and ``(M, ...)``."""

    def symmetric(self, x: "jax.Array") -> "jax.Array":
        """The Gram matrix ``(N, N)`` of N samples, symmetric to the last bit."""
        matrix = self.gram(x, x)
        return (matrix + matrix.T) / 2

    @abstractmethod
    def scores(self, x: "jax.Array", points: "jax.Array", weights: "jax.Array") -> "jax.Array":
        """``s(x) = sum_p k(x, p) w_p``, ``(N,)``, of points ``(P, ...)`` and weights ``(P,)``."""

    @abstractmethod
    def scores_and_gradient(
        self, x: "jax.Array", points: "jax.Array", weights: "jax.Array"
    ) -> tuple["jax.Array", "jax.Array"]:
        """Scores and ``ds(x_i)/dx_i``, in the shape of x."""

    def scores_and_gradient_at_points(
        self, points: "jax.Array", weights: "jax.Array", first: int
    ) -> tuple["jax.Array", "jax.Array"]:
        """The same at the first of the points themselves: an engine may work each pair of those out once."""
        return self.scores_and_gradient(points[:first], points, weights)


class Kernel(ABC):
    """A positive definite kernel. One of your own needs ``__call__`` alone, differentiable by JAX in its first
    argument.
    """

    @abstractmethod
    def __call__(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        """The Gram matrix.

        Args:
            x: Vectors ``(N, d)`` or images ``(N, H, W, C)``.
            y: The same for M samples.

        Returns:
            ``(N, M)``, in the dtype of the inputs.
        """

    def check(self, in_shape: tuple[int, ...]) -> None:
        """Refuses samples of a shape (``(C, H, W)`` or ``(d,)``) that the kernel cannot take, with a ConfigError."""

    def products(self, shape: tuple[int, ...], dtype: str) -> Products | None:
        """An engine of the kernel's own for samples of a shape (``(H, W, C)`` or ``(d,)``) in a dtype, or None: then
        the kernel is called on tiles and differentiated by JAX.
        """
        return None

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        """Working memory for one pair of samples with the gradient, in numbers; decides the size of the tiles where
        the kernel has no engine of its own.
        """
        return 8


def check_positive(kernel: Kernel, **values: float) -> None:
    """Refuses parameters of a kernel that are not positive and finite, with a ConfigError."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name!r} of {type(kernel).__name__} must be positive, got {value}.")


class FunctionKernel(Kernel):
    """A plain function ``(x, y) -> Gram matrix`` as a kernel."""

    def __init__(self, function: Any):
        self.function = function

    def __call__(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        return self.function(x, y)

    def __repr__(self) -> str:
        return f"FunctionKernel({getattr(self.function, '__name__', self.function)!s})"
