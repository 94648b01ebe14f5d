"""Activations of the finite networks, by name; what they are at infinite width is said in ``kernels.recursions``."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_gantk.errors import ConfigError

SIGMOID_SCALE = 2.4020563531719796  # makes 0.5 erf(x / scale) + 0.5 closest to the sigmoid on [-5, 5]


@dataclass(frozen=True)
class Definition:
    """What an activation is.

    Attributes:
        function: ``function(x, **parameters)``, pointwise.
        kinked: Whether its derivative jumps, so that kernels have a cusp at equal samples.
        defaults: The parameters and their default values.
    """

    function: Callable[..., Tensor]
    kinked: bool
    defaults: Mapping[str, float]


ACTIVATIONS: dict[str, Definition] = {}


def register_activation(name: str, function: Callable[..., Tensor], *, kinked: bool = True, **defaults: float) -> None:
    """Adds an activation, under which architectures find it. Its kernel is given to ``recursions.register_dual``.

    Args:
        name: What ``activation=`` says; a name that exists is given a new meaning.
        function: ``function(x, **parameters)``, pointwise on torch tensors.
        kinked: Whether its derivative jumps. Taken for kinked, a smooth activation costs time; taken for smooth, a
            kinked one would have wrong gradients between near samples.
        **defaults: Its parameters, all numbers.
    """
    ACTIVATIONS[name] = Definition(function, kinked, defaults)


# Functions with names, and no lambdas: networks can then be pickled.
def _erf(x: Tensor, a: float, b: float, c: float) -> Tensor:
    return a * torch.erf(b * x) + c


def _sin(x: Tensor, a: float, b: float, c: float) -> Tensor:
    return a * torch.sin(b * x + c)


def _sigmoid_like(x: Tensor) -> Tensor:
    return 0.5 * torch.erf(x / SIGMOID_SCALE) + 0.5


def _rbf(x: Tensor, gamma: float) -> Tensor:
    return math.sqrt(2) * torch.sin(math.sqrt(2 * gamma) * x + math.pi / 4)


def _identity(x: Tensor) -> Tensor:
    return x


def _leaky_relu(x: Tensor, alpha: float) -> Tensor:
    return functional.leaky_relu(x, alpha)


register_activation("relu", torch.relu)
register_activation("leaky_relu", _leaky_relu, alpha=0.2)
register_activation("gelu", functional.gelu, kinked=False)
register_activation("erf", _erf, kinked=False, a=1.0, b=1.0, c=0.0)
register_activation("sin", _sin, kinked=False, a=1.0, b=1.0, c=0.0)
register_activation("abs", torch.abs)
register_activation("sigmoid_like", _sigmoid_like, kinked=False)
register_activation("rbf", _rbf, kinked=False, gamma=1.0)
register_activation("identity", _identity, kinked=False)


@dataclass(frozen=True)
class Activation:
    """One activation with its parameters, by name; see ``ACTIVATIONS`` for all of them.

    Args:
        name: A key of ``ACTIVATIONS``.
        parameters: Parameters as sorted pairs; those left out take their defaults.

    Raises:
        ConfigError: If the name or a parameter is unknown, or a parameter is no finite number.
    """

    name: str
    parameters: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in ACTIVATIONS:
            raise ConfigError(f"Unknown activation {self.name!r}; allowed are {', '.join(ACTIVATIONS)}.")
        defaults = ACTIVATIONS[self.name].defaults
        for key, value in self.parameters:
            if key not in defaults:
                allowed = ", ".join(f"{k} (default {v})" for k, v in defaults.items()) or "none"
                raise ConfigError(f"Activation {self.name!r} has no parameter {key!r}; allowed: {allowed}.")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"Parameter {key!r} of activation {self.name!r} must be a number, got {value!r}.")
        values = {**defaults, **dict(self.parameters)}
        if self.name == "rbf" and values["gamma"] <= 0:
            raise ConfigError(f"Parameter 'gamma' of activation 'rbf' must be positive, got {values['gamma']}.")
        object.__setattr__(self, "parameters", tuple(sorted(values.items())))

    def module(self) -> nn.Module:
        """The torch side."""
        return _Pointwise(self)

    @property
    def kinked(self) -> bool:
        """Whether its derivative jumps."""
        return ACTIVATIONS[self.name].kinked

    def __str__(self) -> str:
        values = ", ".join(f"{k}={v:g}" for k, v in self.parameters)
        return f"{self.name}({values})" if values else self.name


class _Pointwise(nn.Module):
    def __init__(self, activation: Activation):
        super().__init__()
        self.activation = activation
        self.function = ACTIVATIONS[activation.name].function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **dict(self.activation.parameters))

    def extra_repr(self) -> str:
        return str(self.activation)


def parse_activations(given: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]) -> tuple[Activation, ...]:
    """Reads the ``activation`` argument of an architecture.

    Args:
        given: A name, a mapping such as ``{"name": "erf", "c": 1.0}``, or a list of either: parallel branches.

    Returns:
        The activations, one for each parallel branch.

    Raises:
        ConfigError: If the form, a name or a parameter is not one of those allowed.
    """
    branches = [given] if isinstance(given, str | Mapping) else given
    if not isinstance(branches, Sequence) or not branches:
        raise ConfigError(f"'activation' must be a name, a mapping with a 'name', or a list of these, got {given!r}.")
    return tuple(_parse_one(branch) for branch in branches)


def _parse_one(given: str | Mapping[str, Any]) -> Activation:
    if isinstance(given, str):
        return Activation(given)
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise ConfigError(f"An activation is a name or a mapping with a 'name', got {given!r}.")
    return Activation(given["name"], tuple((k, v) for k, v in given.items() if k != "name"))
