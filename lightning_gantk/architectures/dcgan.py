"""The convolutional discriminator of DCGAN."""

from typing import Any, Literal

from lightning_gantk.architectures.base import after_activation
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, GlobalAveragePool, Layer, Shape
from lightning_gantk.architectures.options import ActivationLike, WithOptions
from lightning_gantk.architectures.standard import parameterized
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError


class DCGAN(WithOptions):
    """Conv 3x3 without bias, ``blocks`` times (activation, Conv 4x4 of stride 2 with bias), then activation, Flatten
    and a Dense with one output and no bias; every convolution has 'SAME' padding.

    Args:
        blocks: Number of stride-2 convolutions, at least 1.
        top: "flatten", or "global_average" for a mean over the pixels, whose kernel costs some 50 times more.
        *args, **options: Those of ``WithOptions``, in its order; ``top`` stands among them.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk.architectures import DCGAN
        >>> architecture = DCGAN(blocks=2, activation="leaky_relu")
        >>> architecture.network(width=4, in_shape=(3, 16, 16))(torch.zeros(5, 3, 16, 16)).shape
        torch.Size([5])
    """

    usual_width = 32

    def __init__(
        self,
        blocks: int = 3,
        activation: ActivationLike = "relu",
        W_std: float = 1.0,
        b_std: float | None = 1.0,
        layer_norm: bool = False,
        top: Literal["flatten", "global_average"] = "flatten",
        *args: Any,
        **options: Any,
    ):
        whole("blocks", blocks)
        super().__init__(activation, W_std, b_std, layer_norm, *args, **options)
        if top not in ("flatten", "global_average"):
            raise ConfigError(f"'top' must be 'flatten' or 'global_average', got {top!r}.")
        self.blocks, self.top = blocks, top

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
        if 2 ** (self.blocks - 1) >= max(in_shape[1:]):
            most = (max(in_shape[1:]) - 1).bit_length()
            raise ConfigError(
                f"blocks={self.blocks} halve an image of {in_shape[1]}x{in_shape[2]} below a single pixel, where "
                f"nothing is left to tell apart: at most {most} do."
            )
