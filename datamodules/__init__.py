"""Data for the GANs: one ``LightningDataModule`` per source, all with the contract of :class:`DataModule`.

Names are imported on first use: a worker process that unpickles a dataset needs torch, but not Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.base import DataModule
    from datamodules.images import ImageTensor
    from datamodules.loader import TrainingLoader
    from datamodules.mnist import MNISTDataModule
    from datamodules.points import PointsDataModule

__all__ = ["DataModule", "ImageTensor", "MNISTDataModule", "PointsDataModule", "TrainingLoader"]

_HOMES = {
    "DataModule": "datamodules.base",
    "ImageTensor": "datamodules.images",
    "MNISTDataModule": "datamodules.mnist",
    "PointsDataModule": "datamodules.points",
    "TrainingLoader": "datamodules.loader",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
