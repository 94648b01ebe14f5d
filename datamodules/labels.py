"""Samples with their classes."""

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from datamodules.samples import Samples
from lightning_gantk.errors import ConfigError


class Labelled(Dataset[tuple[Tensor, Tensor]]):
    """Samples and the class of each; a batch of them is a pair of tensors.

    Args:
        samples: ``(N, ...)``.
        labels: Their classes ``(N,)``, int64.

    Raises:
        ConfigError: If there are more of one than of the other.
    """

    def __init__(self, samples: Samples, labels: Tensor) -> None:
        if len(samples) != len(labels):
            raise ConfigError(f"There are {len(samples)} samples and {len(labels)} labels.")
        self.samples, self.labels = samples, labels
        self._gives_batches = hasattr(samples, "__getitems__")

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        return self.samples[index], self.labels[index]

    def __getitems__(self, indices: list[int]) -> Any:
        """The whole batch at once, or one sample after the other for a set that cannot give one."""
        if self._gives_batches or isinstance(self.samples, Tensor):
            return self[indices]
        return [self[index] for index in indices]
