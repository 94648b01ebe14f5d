"""The dual kernels of the activations of ``architectures.activations``, by the same names."""

import math
from collections.abc import Callable

from lightning_gantk.architectures.activations import SIGMOID_SCALE, Activation
from lightning_gantk.kernels.recursions.duals.base import Dual
from lightning_gantk.kernels.recursions.duals.erf import Erf
from lightning_gantk.kernels.recursions.duals.gelu import Gelu
from lightning_gantk.kernels.recursions.duals.linear import Linear
from lightning_gantk.kernels.recursions.duals.rectifier import Rectifier
from lightning_gantk.kernels.recursions.duals.sin import Sin

_DUALS: dict[str, Callable[..., Dual]] = {}


def register_dual(name: str, dual: Callable[..., Dual]) -> None:
    """Says what the dual kernel of an activation is.

    Args:
        name: As given to ``architectures.register_activation``.
        dual: ``dual(**parameters)``, given the activation's parameters.
    """
    _DUALS[name] = dual


def has_dual(activation: Activation) -> bool:
    """Whether an activation has a dual kernel here."""
    return activation.name in _DUALS


def dual_of(activation: Activation) -> Dual:
    """The dual kernel of an activation."""
    return _DUALS[activation.name](**dict(activation.parameters))


register_dual("relu", lambda: Rectifier(0.0, 1.0))
register_dual("leaky_relu", lambda alpha: Rectifier(alpha, 1.0))
register_dual("abs", lambda: Rectifier(-1.0, 1.0))
register_dual("identity", Linear)
register_dual("gelu", Gelu)
register_dual("erf", Erf)
register_dual("sigmoid_like", lambda: Erf(0.5, 1 / SIGMOID_SCALE, 0.5))
register_dual("sin", Sin)
register_dual("rbf", lambda gamma: Sin(math.sqrt(2), math.sqrt(2 * gamma), math.pi / 4))
