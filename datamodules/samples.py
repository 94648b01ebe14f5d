"""What a set of samples is."""

from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightning_gantk.errors import ConfigError

Batch = Tensor | tuple[Tensor, Tensor]
"""Samples ``(N, ...)``, or samples and their labels ``(N,)``, int64."""


class Samples(Protocol):
    """Samples by number, of known count: a map-style dataset, or simply a tensor ``(N, ...)``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Tensor: ...


def as_dataset(samples: Samples) -> Dataset[Tensor]:
    """The samples under the type that torch's loaders declare; they ask for no more than ``Samples`` has."""
    return cast("Dataset[Tensor]", samples)


def parted(batch: Any) -> tuple[Tensor, Tensor | None]:
    """Samples ``(N, ...)`` and labels ``(N,)`` of a batch; None where it has no labels.

    Args:
        batch: A tensor, or a pair (or a list, as torch's loaders give) of samples and labels; samples alone in a list
            pass as well.

    Raises:
        ConfigError: If it is something else.
    """
    parts = batch if isinstance(batch, list | tuple) else (batch,)
    if len(parts) not in (1, 2) or not all(isinstance(part, Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise ConfigError(
            f"A batch must be a tensor of samples, or a pair of samples and labels; got {type(batch).__name__} "
            f"({kinds})."
        )
    if len(parts) == 1:
        return parts[0], None
    samples, labels = parts
    if labels.shape != (len(samples),) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ConfigError(
            f"Labels must be whole numbers, one for each of {len(samples)} samples; got {labels.dtype} of shape "
            f"{tuple(labels.shape)}."
        )
    return samples, labels.long()
