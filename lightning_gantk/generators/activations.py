"""The activations of generators: those of architectures, and two that have no kernel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from lightning_gantk.architectures.activations import ACTIVATIONS, parse_activations
from lightning_gantk.architectures.layers import SumOf
from lightning_gantk.errors import ConfigError

_ONLY_HERE: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh}


def parse(given: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]) -> list[Callable[[], nn.Module]]:
    """Reads the ``activation`` argument of a generator.

    Args:
        given: As ``architectures.activations.parse_activations`` takes, or the names "silu" and "tanh".

    Returns:
        For each parallel branch what makes its activation.

    Raises:
        ConfigError: If the form, a name or a parameter is not one of those allowed.
    """
    branches = [given] if isinstance(given, str | Mapping) else given
    if not isinstance(branches, Sequence) or not branches:
        raise ConfigError(f"'activation' must be a name, a mapping with a 'name', or a list of these, got {given!r}.")
    return [_parse_one(branch) for branch in branches]


def activated(activations: list[Callable[[], nn.Module]], layer: Callable[[], nn.Module]) -> list[nn.Module]:
    """``activation, layer``; several activations make the sum of parallel branches, each with a layer of its own."""
    branches = [[activation(), layer()] for activation in activations]
    return branches[0] if len(branches) == 1 else [SumOf([nn.Sequential(*branch) for branch in branches])]


def _parse_one(given: str | Mapping[str, Any]) -> Callable[[], nn.Module]:
    if isinstance(given, str) and given in _ONLY_HERE:
        return _ONLY_HERE[given]
    if isinstance(given, str) and given not in ACTIVATIONS:
        allowed = ", ".join([*ACTIVATIONS, *_ONLY_HERE])
        raise ConfigError(f"'activation' must be one of {allowed}, got {given!r}.")
    (activation,) = parse_activations([given])
    return activation.module
