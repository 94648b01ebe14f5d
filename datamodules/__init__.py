"""Data for the GANs: one ``LightningDataModule`` per source, all with the contract of :class:`DataModule`.

Names are imported on first use: a worker process that unpickles a dataset needs torch, but not Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.base import DataModule
    from datamodules.celeba import CelebADataModule
    from datamodules.image_folder import ImageFolderDataModule
    from datamodules.images import ImageTensor, MappedImages
    from datamodules.loader import TrainingLoader
    from datamodules.mnist import MNISTDataModule
    from datamodules.patches import PatchesDataModule
    from datamodules.picture_files import Pictures
    from datamodules.points import PointsDataModule

__all__ = [
    "CelebADataModule",
    "DataModule",
    "ImageFolderDataModule",
    "ImageTensor",
    "MNISTDataModule",
    "MappedImages",
    "PatchesDataModule",
    "Pictures",
    "PointsDataModule",
    "TrainingLoader",
]

_HOMES = {
    "CelebADataModule": "datamodules.celeba",
    "DataModule": "datamodules.base",
    "ImageFolderDataModule": "datamodules.image_folder",
    "ImageTensor": "datamodules.images",
    "MNISTDataModule": "datamodules.mnist",
    "MappedImages": "datamodules.images",
    "PatchesDataModule": "datamodules.patches",
    "Pictures": "datamodules.picture_files",
    "PointsDataModule": "datamodules.points",
    "TrainingLoader": "datamodules.loader",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
