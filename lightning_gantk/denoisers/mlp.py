"""Dense networks that denoise."""

import math
from collections.abc import Sequence

from torch import Tensor

from lightning_gantk.checks import sample_shape
from lightning_gantk.timed.layers import TimedLayers


class MLPDenoiser(TimedLayers):
    """Dense layers with leaky ReLU on the sample and on Fourier features of the level of noise, giving a sample.

    Args:
        in_shape: ``(d,)`` or ``(C, H, W)``, which is flattened.
        hidden: Units of each hidden layer.
        embedding: Number of Fourier features; even.
        frequency: Standard deviation of the frequencies, in turns while the noise grows e^4 times.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk.denoisers import MLPDenoiser
        >>> network = MLPDenoiser((2,), hidden=(16, 16), embedding=8)
        >>> network(torch.zeros(5, 2), torch.linspace(-1, 1, 5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        in_shape: Sequence[int] = (2,),
        hidden: Sequence[int] = (512, 512, 512, 512),
        *,
        embedding: int = 128,
        frequency: float = 1.0,
    ):
        outputs = math.prod(sample_shape("in_shape", in_shape))
        super().__init__(in_shape, hidden, outputs, embedding=embedding, frequency=frequency)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Samples ``(N, *in_shape)`` of samples ``(N, *in_shape)`` and levels ``(N,)``."""
        return self.numbers(x, time).view_as(x)
