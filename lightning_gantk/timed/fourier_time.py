"""The time of a flow as a vector that networks can tell apart."""

import math

import torch
from torch import Tensor, nn

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError


class FourierTime(nn.Module):
    """Sines and cosines of the time, in equal parts, of random frequencies.

    Args:
        features: How many; even.
        frequency: Standard deviation of the frequencies, in turns over the time from 0 to 1.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk.timed import FourierTime
        >>> FourierTime(8)(torch.linspace(0, 1, 5)).shape
        torch.Size([5, 8])
    """

    frequencies: Tensor

    def __init__(self, features: int = 128, *, frequency: float = 1.0):
        super().__init__()
        if isinstance(features, bool) or not isinstance(features, int) or features < 2 or features % 2:
            raise ConfigError(f"'embedding' must be an even number of features, at least 2, got {features!r}.")
        number("frequency", frequency, positive=True)
        self.features = features
        self.register_buffer("frequencies", frequency * torch.randn(features // 2))

    def forward(self, time: Tensor) -> Tensor:
        """Features ``(N, features)`` of times ``(N,)`` in [0, 1]."""
        angles = 2 * math.pi * time[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)
