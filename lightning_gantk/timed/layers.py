"""Dense layers on a sample and on a time."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.timed.fourier_time import FourierTime


class TimedLayers(nn.Module):
    """Dense layers with leaky ReLU on the sample and on Fourier features of the time.

    Args:
        in_shape: ``(d,)`` or ``(C, H, W)``, which is flattened.
        hidden: Units of each hidden layer.
        outputs: Numbers that the last layer gives.
        embedding: Number of Fourier features; even.
        frequency: Standard deviation of the frequencies, in turns over the time from 0 to 1.

    Raises:
        ConfigError: If a number is out of range.
    """

    def __init__(
        self, in_shape: Sequence[int], hidden: Sequence[int], outputs: int, *, embedding: int, frequency: float
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
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))

    def numbers(self, x: Tensor, time: Tensor) -> Tensor:
        """``(N, outputs)`` of samples ``(N, *in_shape)`` and times ``(N,)``."""
        return self.network(torch.cat([x.flatten(1), self.time(time)], dim=1))
