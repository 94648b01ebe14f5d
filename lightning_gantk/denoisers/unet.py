"""Convolutional networks that denoise images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, silu

from lightning_gantk.checks import sample_shape, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.timed import FourierTime

_GROUP = 8  # channels of a group of the norms


class UNet(nn.Module):
    """A U-Net (Ronneberger et al., 2015) of residual blocks: down to small maps and up again, and across at each size.

    Each block is two 3x3 convolutions after group norms and SiLU, shifted between them by the level of noise (as in Ho
    et al., 2020). The last convolution starts at 0.

    Args:
        in_shape: ``(C, H, W)``, height and width multiples of ``patch * 2**(levels - 1)``.
        channels: Feature maps at the first level, a multiple of 8; twice as many at each later one.
        levels: Sizes of maps, each half of the one before.
        patch: Sides of the squares of pixels that become channels before the first level. With 2 a step costs a
            quarter.
        embedding: Number of Fourier features of the level of noise; even.
        frequency: Standard deviation of their frequencies, in turns while the noise grows e^4 times.

    Raises:
        ConfigError: If a number is out of range, or the shape is not that of such images.

    Examples:
        >>> import torch
        >>> from lightning_gantk.denoisers import UNet
        >>> network = UNet((3, 16, 16), channels=8, levels=2)
        >>> network(torch.zeros(5, 3, 16, 16), torch.linspace(-1, 1, 5)).shape
        torch.Size([5, 3, 16, 16])
    """

    def __init__(
        self,
        in_shape: Sequence[int] = (1, 32, 32),
        channels: int = 32,
        *,
        levels: int = 3,
        patch: int = 1,
        embedding: int = 64,
        frequency: float = 1.0,
    ):
        super().__init__()
        for name, value in (("channels", channels), ("levels", levels), ("patch", patch)):
            whole(name, value)
        if channels % _GROUP:
            raise ConfigError(f"'channels' must be a multiple of {_GROUP}, got {channels}.")
        multiple = patch * 2 ** (levels - 1)
        in_shape = sample_shape("in_shape", in_shape)
        if len(in_shape) != 3 or any(side % multiple for side in in_shape[1:]):
            raise ConfigError(
                f"'in_shape' must be (C, H, W) with height and width multiples of {multiple}, for patches of {patch} "
                f"and {levels} levels; got {in_shape}."
            )
        self.in_shape, self.patch = in_shape, patch
        self.time = FourierTime(embedding, frequency=frequency)
        widths = [channels * 2**level for level in range(levels)]
        depth = in_shape[0] * patch**2
        self.first = nn.Conv2d(depth, channels, 3, padding=1)
        self.down = nn.ModuleList(
            _Block(into, out, embedding) for into, out in zip([channels, *widths], widths, strict=False)
        )
        self.middle = _Block(widths[-1], widths[-1], embedding)
        # Each takes what came up beside what went across.
        self.up = nn.ModuleList(
            _Block(below + across, across, embedding)
            for below, across in zip([*widths[1:], widths[-1]], widths, strict=True)
        )
        self.norm = nn.GroupNorm(channels // _GROUP, channels)
        self.last = nn.Conv2d(channels, depth, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` of images ``(N, C, H, W)`` and levels ``(N,)``."""
        features, across = self.time(time), []
        z = self.first(nn.functional.pixel_unshuffle(x, self.patch))
        for level, block in enumerate(self.down):
            z = block(avg_pool2d(z, 2) if level else z, features)
            across.append(z)
        z = self.middle(z, features)
        for level, block in reversed(list(enumerate(self.up))):
            z = block(torch.cat([z, across[level]], dim=1), features)
            z = interpolate(z, scale_factor=2.0) if level else z
        return nn.functional.pixel_shuffle(self.last(silu(self.norm(z))), self.patch)


class _Block(nn.Module):
    """``x + conv(silu(norm(conv(silu(norm(x))) + shift)))``, with a 1x1 convolution of x where its channels change."""

    def __init__(self, into: int, out: int, embedding: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(size // _GROUP, size) for size in (into, out))
        self.convolutions = nn.ModuleList(nn.Conv2d(size, out, 3, padding=1) for size in (into, out))
        self.shift = nn.Linear(embedding, out)
        self.straight = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        z = self.convolutions[0](silu(self.norms[0](x))) + self.shift(features)[:, :, None, None]
        return self.straight(x) + self.convolutions[1](silu(self.norms[1](z)))
