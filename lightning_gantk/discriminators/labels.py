"""Samples that carry their class: in one more channel of an image, or one more coordinate of a vector.

So they go wherever samples go, from process to process too, and no discriminator that knows no classes has to be told.
"""

import torch
from torch import Tensor


def joined(samples: Tensor, labels: Tensor) -> Tensor:
    """Samples ``(N, C, H, W)`` or ``(N, d)`` and their classes ``(N,)`` as ``(N, C + 1, H, W)`` or ``(N, d + 1)``."""
    number = labels.to(samples).view(-1, *(1,) * (samples.ndim - 1))
    return torch.cat([samples, number.expand(-1, 1, *samples.shape[2:])], dim=1)


def parted(together: Tensor) -> tuple[Tensor, Tensor]:
    """The way back: samples and classes, int64."""
    numbers = together[:, -1].flatten(1)[:, 0] if together.ndim > 2 else together[:, -1]
    samples = together[:, :-1]
    if samples.ndim == 4:
        samples = samples.contiguous(memory_format=torch.channels_last)
    return samples, numbers.detach().round().long()


def shape_with_label(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of samples that carry their class."""
    return (shape[0] + 1, *shape[1:])


def shape_without_label(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of the samples alone."""
    return (shape[0] - 1, *shape[1:])
