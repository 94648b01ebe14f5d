"""What a kernel is: a callable on JAX arrays."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    import jax

    from lightning_gantk.kernels.backends.base import Backend


class Kernel(ABC):
    """A positive definite kernel. One of your own needs ``__call__`` alone, differentiable by JAX in its first
    argument, also where two samples coincide: a square root of their distance has no derivative there, and gives NaN.
    It is refused; ``kernels.distance.length`` takes roots that have one.

    Attributes:
        conditional: Whether sums ``w^T K w`` are sure to be positive only for weights of sum 0. Such a kernel takes
            losses with constant slopes alone.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import Kernel
        >>> class Linear(Kernel):
        ...     def __call__(self, x, y):
        ...         return x.reshape(len(x), -1) @ y.reshape(len(y), -1).T
        >>> Linear()(jnp.ones((2, 3)), jnp.ones((4, 3))).shape
        (2, 4)
    """

    conditional: bool = False

    @abstractmethod
    def __call__(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        """The Gram matrix.

        Args:
            x: Vectors ``(N, d)`` or images ``(N, H, W, C)``.
            y: The same for M samples.

        Returns:
            ``(N, M)``, in the dtype of the inputs.
        """

    def of_pair(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        """The kernel of two samples ``(d,)`` or ``(H, W, C)``, a number that JAX differentiates as often as one likes:
        slow, where Gram matrices are fast and have derivatives once.
        """
        return self(x[None], y[None])[0, 0]

    def check(self, in_shape: tuple[int, ...]) -> None:
        """Refuses samples of a shape (``(C, H, W)`` or ``(d,)``) that the kernel cannot take, with a ConfigError."""

    def check_device(self, platform: str) -> None:
        """Refuses samples on a device ("cpu", "cuda") that the kernel cannot take, with a ConfigError."""

    def backend(self, shape: tuple[int, ...], dtype: str) -> "Backend | None":
        """A backend of the kernel's own for samples of a shape (``(H, W, C)`` or ``(d,)``) in a dtype, or None: then
        the kernel is called on tiles and differentiated by JAX.
        """
        return None

    def energy(self, x: "jax.Array") -> "jax.Array":
        """``k(x, x) + sum_a d_a d'_a k(x, x)`` of samples ``(N, ...)``, ``(N,)``; infinite for a kernel with a cusp.

        Raises:
            ConfigError: If it is not known.
        """
        raise ConfigError(f"{self!r} does not say what the second derivatives are at its diagonal; RBF does.")

    def __repr__(self) -> str:
        return type(self).__name__

    def floats_per_pair(self, in_shape: tuple[int, ...]) -> int:
        """Working memory for one pair of samples with the gradient, in numbers; decides the size of the tiles where
        the kernel has no backend of its own.
        """
        return 8


def check_positive(kernel: Kernel, **values: float) -> None:
    """Refuses parameters of a kernel that are not positive and finite, with a ConfigError."""
    for name, value in values.items():
        number(name, value, positive=True, of=f"of {type(kernel).__name__}")


class FunctionKernel(Kernel):
    """A plain function ``(x, y) -> Gram matrix`` as a kernel."""

    def __init__(self, function: Any):
        self.function = function

    def __call__(self, x: "jax.Array", y: "jax.Array") -> "jax.Array":
        return self.function(x, y)

    def __repr__(self) -> str:
        return f"FunctionKernel({getattr(self.function, '__name__', self.function)!s})"
