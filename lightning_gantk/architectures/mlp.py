"""The multilayer perceptron."""

from collections.abc import Mapping
from typing import Any

from lightning_gantk.architectures.activations import parse_activations
from lightning_gantk.architectures.base import Architecture, after_activation, check_count, check_deviation
from lightning_gantk.architectures.layers import Dense, Flatten, Layer
from lightning_gantk.architectures.standard import Parameterization, check_parameterization, parameterized


class MLP(Architecture):
    """Flatten, Dense, then ``hidden_layers`` times (activation, Dense); the last Dense has one output and no bias.

    Args:
        hidden_layers: Number of activations, at least 1.
        activation: A name, a mapping with ``name`` and parameters, or a list of these: the sum of parallel branches.
        W_std: Standard deviation of the weights, before the division by sqrt(fan_in).
        b_std: Standard deviation of the biases; None for a network without biases.
        layer_norm: A LayerNorm before each activation but the first.
        parameterization: "ntk", where a learning rate means the same at every width, or "standard", where weights are
            drawn with standard deviation W_std / sqrt(fan_in) and nothing is scaled; see ``architectures.standard``.
        base_width: Of the standard parameterization: the width at which the network is the plain one. The kernel needs
            it; a finite network without it is the plain one at every width.

    Raises:
        ConfigError: If an argument is not one of those allowed.
    """

    def __init__(
        self,
        hidden_layers: int = 3,
        activation: str | Mapping[str, Any] | list[str | Mapping[str, Any]] = "relu",
        W_std: float = 1.0,
        b_std: float | None = 1.0,
        layer_norm: bool = False,
        parameterization: Parameterization = "ntk",
        base_width: int | None = None,
    ):
        check_count("hidden_layers", hidden_layers, 1)
        check_deviation("W_std", W_std, positive=True)
        check_deviation("b_std", b_std, positive=False)
        check_parameterization(parameterization, base_width)
        self.hidden_layers, self.activation, self.layer_norm = hidden_layers, activation, layer_norm
        self.W_std, self.b_std = W_std, b_std
        self.parameterization, self.base_width = parameterization, base_width
        self._activations = parse_activations(activation)

    def layers(self) -> tuple[Layer, ...]:
        hidden, last = Dense(self.W_std, self.b_std), Dense(self.W_std, None, features=1)
        layers: tuple[Layer, ...] = (Flatten(), hidden)
        for i in range(self.hidden_layers):
            dense = last if i == self.hidden_layers - 1 else hidden
            layers += after_activation(self._activations, dense, layer_norm=self.layer_norm and i > 0)
        return parameterized(layers, self.parameterization, self.base_width)
