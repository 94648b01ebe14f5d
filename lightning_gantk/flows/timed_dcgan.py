"""Convolutional networks whose scores depend on time."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_gantk.checks import sample_shape, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.timed import FourierTime

_SLOPE = 0.2  # of the leaky ReLU


class TimedDCGAN(nn.Module):
    """``f(x, t)``: convolutions (4x4, stride 2) that halve an image, without norms, and a dense layer.

    The time shifts the feature maps of every convolution, by a dense layer of its Fourier features.

    Args:
        in_shape: ``(C, H, W)``, height and width multiples of ``2**blocks``.
        channels: Feature maps of the first convolution; each later one has twice as many.
        blocks: Number of convolutions.
        embedding: Number of Fourier features; even.
        frequency: Standard deviation of the frequencies, in turns over the time from 0 to 1.

    Raises:
        ConfigError: If a number is out of range, or the shape is not that of such images.

    Examples:
        >>> import torch
        >>> from lightning_gantk.flows import TimedDCGAN
        >>> network = TimedDCGAN((1, 16, 16), channels=4, blocks=2, embedding=8)
        >>> network(torch.zeros(5, 1, 16, 16), torch.linspace(0, 1, 5)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        in_shape: Sequence[int] = (1, 32, 32),
        channels: int = 64,
        *,
        blocks: int = 3,
        embedding: int = 128,
        frequency: float = 1.0,
    ):
        super().__init__()
        for name, value in (("channels", channels), ("blocks", blocks)):
            whole(name, value)
        in_shape = sample_shape("in_shape", in_shape)
        if len(in_shape) != 3 or any(side % 2**blocks for side in in_shape[1:]):
            raise ConfigError(
                f"'in_shape' must be (C, H, W) with height and width multiples of {2**blocks}, which {blocks} blocks "
                f"halve; got {in_shape}."
            )
        depth, height, width = in_shape
        widths = [channels * 2**block for block in range(blocks)]
        self.in_shape = (depth, height, width)
        self.time = FourierTime(embedding, frequency=frequency)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, 4, 2, 1) for into, out in zip([depth, *widths], widths, strict=False)
        )
        self.shifts = nn.ModuleList(nn.Linear(embedding, out, bias=False) for out in widths)
        self.last = nn.Linear(widths[-1] * (height >> blocks) * (width >> blocks), 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Scores ``(N,)`` of images ``(N, C, H, W)`` at times ``(N,)`` in [0, 1]."""
        features = self.time(time)
        for convolution, shift in zip(self.convolutions, self.shifts, strict=True):
            x = leaky_relu(convolution(x) + shift(features)[:, :, None, None], _SLOPE)
        return self.last(x.flatten(1)).squeeze(1)
