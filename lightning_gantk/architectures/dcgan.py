"""The convolutional discriminator of DCGAN."""

from collections.abc import Mapping
from typing import Any, Literal

from lightning_gantk.architectures.activations import parse_activations
from lightning_gantk.architectures.base import Architecture, after_activation, check_count, check_deviation
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, GlobalAveragePool, Layer, Shape
from lightning_gantk.architectures.standard import Parameterization, check_parameterization, parameterized
from lightning_gantk.errors import ConfigError


class DCGAN(Architecture):
    """Conv 3x3 without bias, ``blocks`` times (activation, Conv 4x4 of stride 2 with bias), then activation, Flatten
    and a Dense with one output and no bias; every convolution has 'SAME' padding.

    Args:
        blocks: Number of stride-2 convolutions, at least 1.
        activation: A name, a mapping with ``name`` and parameters, or a list of these: the sum of parallel branches.
        W_std: Standard deviation of the weights, before the division by sqrt(fan_in).
        b_std: Standard deviation of the biases; None for a network without biases.
        layer_norm: A LayerNorm over the channels of each pixel before each activation but the first.
        top: "flatten", or "global_average" for a mean over the pixels, whose kernel costs some 50 times more.
        parameterization: "ntk", where a learning rate means the same at every width, or "standard", where weights are
            drawn with standard deviation W_std / sqrt(fan_in) and nothing is scaled; see ``architectures.standard``.
        base_width: Of the standard parameterization: the width at which the network is the plain one. The kernel needs
            it; a finite network without it is the plain one at every width.

    Raises:
        ConfigError: If an argument is not one of those allowed.
    """

    def __init__(
        self,
        blocks: int = 3,
        activation: str | Mapping[str, Any] | list[str | Mapping[str, Any]] = "relu",
        W_std: float = 1.0,
        b_std: float | None = 1.0,
        layer_norm: bool = False,
        top: Literal["flatten", "global_average"] = "flatten",
        parameterization: Parameterization = "ntk",
        base_width: int | None = None,
    ):
        check_count("blocks", blocks, 1)
        check_deviation("W_std", W_std, positive=True)
        check_deviation("b_std", b_std, positive=False)
        check_parameterization(parameterization, base_width)
        if top not in ("flatten", "global_average"):
            raise ConfigError(f"'top' must be 'flatten' or 'global_average', got {top!r}.")
        self.blocks, self.activation, self.layer_norm, self.top = blocks, activation, layer_norm, top
        self.W_std, self.b_std = W_std, b_std
        self.parameterization, self.base_width = parameterization, base_width
        self._activations = parse_activations(activation)

    def layers(self) -> tuple[Layer, ...]:
        layers: tuple[Layer, ...] = (Conv(3, 1, self.W_std, None),)
        halve = Conv(4, 2, self.W_std, self.b_std)
        for block in range(self.blocks):
            layers += after_activation(self._activations, halve, layer_norm=self.layer_norm and block > 0)
        pool = Flatten() if self.top == "flatten" else GlobalAveragePool()
        last = Dense(self.W_std, None, features=1)
        layers += after_activation(self._activations, pool, last, layer_norm=self.layer_norm)
        return parameterized(layers, self.parameterization, self.base_width)

    def check(self, in_shape: Shape) -> None:
        if len(in_shape) != 3:
            raise ConfigError(
                f"DCGAN takes images (channels, height, width), got samples of shape {tuple(in_shape)}; "
                "use MLP or ResNet for vectors."
            )
