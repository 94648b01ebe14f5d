"""What a user gives for a kernel: made one, and tried on samples before it is trained by."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.base import FunctionKernel, Kernel

_ROOTLESS = (
    "write the squared distance v without a square root, or take kernels.distance.length(v) for one: "
    "jnp.where(v > 0, jnp.sqrt(jnp.where(v > 0, v, 1)), 0)"
)
_LONGEST = 120  # characters of another library's message


def kernel_of(given: Architecture | Kernel | Callable, kind: Literal["ntk", "nngp"] = "ntk") -> Kernel:
    """The kernel of an architecture, a kernel as it is, or one of a function ``(x, y) -> Gram matrix``.

    Raises:
        ConfigError: If it is none of these.
    """
    if isinstance(given, Architecture):
        return given.kernel(kind)
    if isinstance(given, Kernel):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionKernel(given)
    raise ConfigError(f"'kernel' must be an architecture or a kernel such as RBF(gamma=0.5), got {in_words(given)}.")


def check_on(kernel: Kernel, samples: jax.Array) -> None:
    """Tries a kernel that is not of this package on the first samples of a batch ``(N, ...)``; costs one compilation.

    Raises:
        ConfigError: If it fails on JAX's arrays, gives no Gram matrix, or has no derivative where two samples coincide.
    """
    if _is_ours(kernel):
        return
    x, points = (samples[jnp.arange(count) % len(samples)] for count in (2, 3))
    check_gram(kernel, x, points)
    one = x[:1]
    value, slope = jax.jit(lambda x: expansion.scores_and_gradient(kernel, x, x, jnp.ones(1, x.dtype)))(one)
    if not jnp.isfinite(one).all():
        return  # no fault of the kernel's
    if not jnp.isfinite(value).all():
        raise ConfigError(f"{kernel!r} of a sample with itself is {float(value[0])}: it must be finite.")
    if not jnp.isfinite(slope).all():
        raise ConfigError(
            f"The derivative of {kernel!r} is no number where two samples coincide, as a fake does with itself: "
            f"{_ROOTLESS}."
        )


def check_gram(kernel: Kernel, x: jax.Array, y: jax.Array) -> None:
    """Refuses a kernel that gives no Gram matrix ``(N, M)`` of samples ``(N, ...)`` and ``(M, ...)``, or fails, with a
    ConfigError: JAX traces it, and computes nothing.
    """

    def traced(x: jax.Array, y: jax.Array) -> jax.Array:
        found = kernel(x, y)
        right = isinstance(found, jax.Array) and found.shape == (len(x), len(y)) and found.dtype.kind == "f"
        if not right:
            of_jax = isinstance(found, jax.Array)
            got = f"{found.dtype} {found.shape}" if of_jax else f"no array of JAX but a {type(found).__name__}"
            raise ConfigError(
                f"{kernel!r} must give the Gram matrix (N, M) of x (N, ...) and y (M, ...), a number for each pair: of "
                f"{len(x)} and {len(y)} samples it gives {got}."
            )
        return found

    try:
        jax.eval_shape(traced, x, y)
    except ConfigError:
        raise
    except Exception as error:  # a user's own code may raise anything
        why = (str(error).splitlines() or [""])[0]
        foreign = isinstance(error, TypeError | jax.errors.JAXTypeError) and "positional argument" not in why
        cure = " A kernel is written in jax.numpy, without torch and numpy." if foreign else ""
        raise ConfigError(
            f"{kernel!r} fails on JAX arrays {x.shape} and {y.shape}, {type(error).__name__}: "
            f"{why[:_LONGEST].rstrip('.')}.{cure}"
        ) from error


def _is_ours(kernel: Kernel) -> bool:
    """Whether a kernel is of this package, where the tests have tried it; of a wrapper, what it stands around too."""
    if isinstance(kernel, FunctionKernel) or type(kernel).__module__.split(".")[0] != __name__.split(".")[0]:
        return False
    inner = getattr(kernel, "kernel", None)
    return not isinstance(inner, Kernel) or _is_ours(inner)
