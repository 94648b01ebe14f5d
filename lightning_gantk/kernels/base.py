"""What a kernel is: a callable on JAX arrays."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax


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

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        """Working memory for one pair of samples with the gradient, in numbers; decides the size of the tiles."""
        return 8


class FunctionKernel(Kernel):
    """A plain function ``(x, y) -> Gram matrix`` as a kernel."""

    def __init__(self, function: Any):
        self.function = function

    def __call__(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        return self.function(x, y)

    def __repr__(self) -> str:
        return f"FunctionKernel({getattr(self.function, '__name__', self.function)!s})"
