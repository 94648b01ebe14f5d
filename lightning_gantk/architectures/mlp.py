"""The multilayer perceptron."""

from typing import Any

from lightning_gantk.architectures.base import after_activation
from lightning_gantk.architectures.layers import Dense, Flatten, Layer
from lightning_gantk.architectures.options import WithOptions
from lightning_gantk.architectures.standard import parameterized
from lightning_gantk.checks import whole


class MLP(WithOptions):
    """Flatten, Dense, then ``hidden_layers`` times (activation, Dense); the last Dense has one output and no bias.

    Args:
        hidden_layers: Number of activations, at least 1.
        *args, **options: Those of ``WithOptions``, in its order.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk.architectures import MLP
        >>> architecture = MLP(hidden_layers=2, activation={"name": "erf", "c": 1.0})
        >>> architecture.network(width=16, in_shape=(2,))(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(self, hidden_layers: int = 3, *args: Any, **options: Any):
        whole("hidden_layers", hidden_layers)
        super().__init__(*args, **options)
        self.hidden_layers = hidden_layers

    def layers(self) -> tuple[Layer, ...]:
        hidden, last = Dense(self.W_std, self.b_std), Dense(self.W_std, None, features=1)
        layers: tuple[Layer, ...] = (Flatten(), hidden)
        for i in range(self.hidden_layers):
            dense = last if i == self.hidden_layers - 1 else hidden
            layers += after_activation(self._activations, dense, layer_norm=self.layer_norm and i > 0)
        return parameterized(layers, self.parameterization, self.base_width)
