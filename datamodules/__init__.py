"""Data for the GANs: one ``LightningDataModule`` per source, all with the contract of :class:`DataModule`.

Names are imported on first use: a worker process that unpickles a dataset needs torch, but not Lightning.
"""

from typing import TYPE_CHECKING

from lightning_gantk.lazy import on_first_use

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

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
