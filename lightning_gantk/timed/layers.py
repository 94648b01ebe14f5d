"""Dense layers on a sample and on a time."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_gantk.checks import sample_shape, wholes
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
        units = wholes("hidden", hidden)
        if not units:
            raise ConfigError("'hidden' must list positive whole numbers, at least one, got none.")
        self.in_shape = sample_shape("in_shape", in_shape)
        self.time = FourierTime(embedding, frequency=frequency)
        sizes = [math.prod(self.in_shape) + embedding, *units]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2)]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))

    def numbers(self, x: Tensor, time: Tensor) -> Tensor:
        """``(N, outputs)`` of samples ``(N, *in_shape)`` and times ``(N,)``."""
        return self.network(torch.cat([x.flatten(1), self.time(time)], dim=1))
