"""The fully connected residual network."""

from typing import Any

from lightning_gantk.architectures.base import after_activation
from lightning_gantk.architectures.layers import Dense, Flatten, Layer, Serial, Sum
from lightning_gantk.architectures.options import WithOptions
from lightning_gantk.architectures.standard import parameterized
from lightning_gantk.checks import whole


class ResNet(WithOptions):
    """Flatten, Dense, ``blocks`` times (a Dense shortcut + ``block_depth`` times (activation, Dense), summed), then
    activation and a Dense with one output and no bias.

    Args:
        blocks: Number of residual blocks, at least 1.
        block_depth: Activations on the residual branch of each block, at least 1.
        *args, **options: Those of ``WithOptions``, in its order.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk.architectures import ResNet
        >>> ResNet(blocks=1, block_depth=2).network(width=16, in_shape=(1, 4, 4))(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([5])
    """

    def __init__(self, blocks: int = 2, block_depth: int = 2, *args: Any, **options: Any):
        whole("blocks", blocks)
        whole("block_depth", block_depth)
        super().__init__(*args, **options)
        self.blocks, self.block_depth = blocks, block_depth

    def layers(self) -> tuple[Layer, ...]:
        dense = Dense(self.W_std, self.b_std)
        layers: tuple[Layer, ...] = (Flatten(), dense)
        for block in range(self.blocks):
            residual: tuple[Layer, ...] = ()
            for depth in range(self.block_depth):
                norm = self.layer_norm and (block, depth) != (0, 0)
                residual += after_activation(self._activations, dense, layer_norm=norm)
            layers += (Sum((dense, Serial(residual))),)
        last = Dense(self.W_std, None, features=1)
        layers += after_activation(self._activations, last, layer_norm=self.layer_norm)
        return parameterized(layers, self.parameterization, self.base_width)
