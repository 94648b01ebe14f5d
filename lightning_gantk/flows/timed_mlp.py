"""Dense networks whose scores depend on time."""

from collections.abc import Sequence

from torch import Tensor

from lightning_gantk.timed.layers import TimedLayers


class TimedMLP(TimedLayers):
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
        super().__init__(in_shape, hidden, 1, embedding=embedding, frequency=frequency)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, *in_shape)`` at times ``(N,)`` in [0, 1]."""
        return self.numbers(x, time).squeeze(1)
