"""Activations that exist on both sides: a torch function, and the neural-tangents layer with its dual kernel."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_gantk.errors import ConfigError

_SIGMOID_SCALE = 2.4020563531719796  # makes 0.5 erf(x / scale) + 0.5 closest to the sigmoid on [-5, 5]


@dataclass(frozen=True)
class Definition:
    """What an activation is on each side.

    Attributes:
        torch: ``torch(x, **parameters)``, the pointwise function.
        stax: ``stax(module, **parameters)``, the layer of ``neural_tangents.stax`` for the same function.
        defaults: The parameters and their default values.
    """

    torch: Callable[..., Tensor]
    stax: Callable[..., Any]
    defaults: Mapping[str, float] = field(default_factory=dict)


def _rbf(x: Tensor, gamma: float) -> Tensor:
    return math.sqrt(2) * torch.sin(math.sqrt(2 * gamma) * x + math.pi / 4)


_AFFINE = {"a": 1.0, "b": 1.0, "c": 0.0}

ACTIVATIONS: dict[str, Definition] = {
    "relu": Definition(torch.relu, lambda stax: stax.Relu()),
    "leaky_relu": Definition(
        lambda x, alpha: functional.leaky_relu(x, alpha), lambda stax, alpha: stax.LeakyRelu(alpha), {"alpha": 0.2}
    ),
    "gelu": Definition(functional.gelu, lambda stax: stax.Gelu(approximate=False)),
    "erf": Definition(lambda x, a, b, c: a * torch.erf(b * x) + c, lambda stax, a, b, c: stax.Erf(a, b, c), _AFFINE),
    "sin": Definition(lambda x, a, b, c: a * torch.sin(b * x + c), lambda stax, a, b, c: stax.Sin(a, b, c), _AFFINE),
    "abs": Definition(torch.abs, lambda stax: stax.Abs()),
    "sigmoid_like": Definition(
        lambda x: 0.5 * torch.erf(x / _SIGMOID_SCALE) + 0.5, lambda stax: stax.Erf(0.5, 1 / _SIGMOID_SCALE, 0.5)
    ),
    "rbf": Definition(_rbf, lambda stax, gamma: stax.Rbf(gamma), {"gamma": 1.0}),
    "identity": Definition(lambda x: x, lambda stax: stax.Identity()),
}


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

    def stax(self, stax: ModuleType) -> Any:
        """The infinite-width side, ``(init_fn, apply_fn, kernel_fn)``."""
        return ACTIVATIONS[self.name].stax(stax, **dict(self.parameters))

    def __str__(self) -> str:
        values = ", ".join(f"{k}={v:g}" for k, v in self.parameters)
        return f"{self.name}({values})" if values else self.name


class _Pointwise(nn.Module):
    def __init__(self, activation: Activation):
        super().__init__()
        self.activation = activation
        self.function = ACTIVATIONS[activation.name].torch

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
