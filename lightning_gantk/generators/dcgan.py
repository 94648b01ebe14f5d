"""The convolutional generator of DCGAN."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.activations import activated, parse
from lightning_gantk.generators.latent import Distribution
from lightning_gantk.generators.noise import NoiseGenerator

_SMALLEST = 4  # pixels on a side where the doublings start, where the size allows it


def _transposed(into: int, out: int, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(into, out, 4, 2, 1, bias=bias)


def _nearest(into: int, out: int, bias: bool) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(into, out, 3, padding=1, bias=bias))


_DOUBLED = {"transposed": _transposed, "nearest": _nearest}


class DCGANGenerator(NoiseGenerator):
    """Dense, then convolutions that double the image up to its size, with tanh at the end.

    After Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional GANs", 2016. Height
    and width are multiples of 4 from 8 up, doubled at least twice and from no fewer than 4 pixels where they allow it:
    32 and 64 start at 4x4, 28 at 7x7.

    Args:
        out_shape: ``(C, H, W)`` with C of 1 or 3.
        latent_dim: Number of latent coordinates.
        channels: Feature maps before the last convolution; each earlier stage has twice as many.
        latent: "normal" or "uniform".
        activation: As of an architecture: a name, a mapping with ``name`` and parameters, or a list of these, the sum
            of parallel branches; also "silu" and "tanh".
        batch_norm: BatchNorm before each activation. It speeds training up; without it samples of a batch are
            independent.
        upsampling: "transposed" doubles by transposed convolutions (4x4, stride 2), as in the paper; "nearest" repeats
            pixels before a convolution (3x3), and leaves no grid of the stride's period in what it makes (Odena et al.,
            "Deconvolution and checkerboard artifacts", Distill 2016).
        classes: How many classes, where each sample is to be of one: coordinates of the latent then say which.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk import DCGANGenerator
        >>> generator = DCGANGenerator(out_shape=(3, 16, 16), latent_dim=8, channels=4, classes=10)
        >>> generator(generator.latent_of(torch.tensor([3, 7]))).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        out_shape: Sequence[int] = (1, 32, 32),
        latent_dim: int = 64,
        channels: int = 32,
        *,
        latent: Distribution = "normal",
        activation: str | Mapping[str, Any] | list[str | Mapping[str, Any]] = "relu",
        batch_norm: bool = True,
        upsampling: Literal["transposed", "nearest"] = "transposed",
        classes: int | None = None,
    ):
        super().__init__(out_shape=out_shape, latent_dim=latent_dim, latent=latent, classes=classes)
        doublings = _doublings(self.out_shape)
        whole("channels", channels)
        if upsampling not in _DOUBLED:
            raise ConfigError(f"'upsampling' must be 'transposed' or 'nearest', got {upsampling!r}.")
        activations = parse(activation)
        depth, height, width = self.out_shape
        widths = [channels * 2**stage for stage in reversed(range(doublings))]
        start = (widths[0], height // 2**doublings, width // 2**doublings)

        def doubling(into: int, out: int, *, last: bool) -> list[nn.Module]:
            bias = last or not batch_norm
            norm = [nn.BatchNorm2d(into)] if batch_norm else []
            return norm + activated(activations, lambda: _DOUBLED[upsampling](into, out, bias))

        layers: list[nn.Module] = [
            nn.Linear(self.latent_sampler.size, start[0] * start[1] * start[2], bias=not batch_norm)
        ]
        layers += [nn.Unflatten(1, start)]
        for features, following in pairwise(widths):
            layers += doubling(features, following, last=False)
        layers += [*doubling(widths[-1], depth, last=True), nn.Tanh()]
        self.network = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, latent: Tensor) -> Tensor:
        self.latent_sampler.check(latent)
        # The layers keep the format of their weights on most machines; where they do not, this copies.
        return self.network(latent).contiguous(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, latent={self.latent_sampler}"


def _doublings(out_shape: tuple[int, ...]) -> int:
    """How many times an image is doubled on the way to ``out_shape``."""
    if len(out_shape) != 3 or out_shape[0] not in (1, 3) or any(n % 4 or n < 8 for n in out_shape[1:]):
        raise ConfigError(
            "DCGANGenerator makes images of shape (1 or 3, H, W) with H and W multiples of 4 from 8 up, such as 28, "
            f"32 or 64; got out_shape={out_shape}. MLPGenerator makes any shape."
        )
    doublings = 2
    while all(n % 2 ** (doublings + 1) == 0 and n // 2 ** (doublings + 1) >= _SMALLEST for n in out_shape[1:]):
        doublings += 1
    return doublings
