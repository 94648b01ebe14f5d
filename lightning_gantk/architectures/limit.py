"""The way from an architecture to its infinite-width kernel, which ``kernels`` knows and this package does not."""

from functools import singledispatch
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel


def kernel_of(architecture: Any, kind: str) -> "Kernel":
    """The kernel that ``kernels`` has for an architecture of this class, or for the nearest class above it.

    Raises:
        ConfigError: If JAX cannot be used, or ``kind`` is unknown.
    """
    import_module("lightning_gantk.kernels")  # by name: it imports JAX, and registers what it has
    return registered(architecture, kind)


@singledispatch
def registered(architecture: Any, kind: str) -> "Kernel":
    """Registry: ``registered.register(MyArchitecture, function)``, with ``function(architecture, kind) -> Kernel``."""
    raise TypeError(f"{type(architecture).__name__} is no architecture.")
