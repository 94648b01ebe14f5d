"""Dense networks whose scores depend on time."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.flows.fourier_time import FourierTime


class TimedMLP(nn.Module):
    """``f(x, t)``: dense layers with leaky ReLU on the sample and on Fourier features of the time.

    Args:
        in_shape: ``(d,)`` or ``(C, H, W)``, which is flattened.
        hidden: Units of each hidden layer.
        embedding: Number of Fourier features; even.
        frequency: Standard deviation of the frequencies, in turns over the time from 0 to 1.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk.flows import TimedMLP
        >>> network = TimedMLP((2,), hidden=(16, 16), embedding=8)
        >>> network(torch.zeros(5, 2), torch.linspace(0, 1, 5)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        in_shape: Sequence[int] = (2,),
        hidden: Sequence[int] = (512, 512, 512, 512),
        *,
        embedding: int = 128,
        frequency: float = 1.0,
    ):
        super().__init__()
        if not hidden or any(isinstance(units, bool) or not isinstance(units, int) or units < 1 for units in hidden):
            raise ConfigError(f"'hidden' must list positive whole numbers, got {list(hidden)}.")
        self.in_shape = tuple(in_shape)
        self.time = FourierTime(embedding, frequency=frequency)
        sizes = [math.prod(in_shape) + embedding, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2)]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, *in_shape)`` at times ``(N,)`` in [0, 1]."""
        return self.network(torch.cat([x.flatten(1), self.time(time)], dim=1)).squeeze(1)
