"""The shipped network of patches: what its file says is what it does, and its FID sees what is wrong with patches."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn.functional import avg_pool2d, interpolate

from datamodules import PatchesDataModule
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import PatchFeatures, SampleQuality
from lightning_gantk.metrics.patch_network import PATCH_CLASSES, PATCH_WEIGHTS, TILE
from lightning_gantk.metrics.train_patches import accuracy, main, patches, recoloured


@pytest.fixture(scope="module")
def metadata():
    with safe_open(PATCH_WEIGHTS, "pt") as file:
        return file.metadata()


@pytest.fixture(scope="module")
def photographs():
    data = PatchesDataModule(num_samples=4000, val_size=1000, tile=TILE)
    data.setup()
    return data


def test_weights_are_small_and_say_how_they_were_made(metadata):
    assert PATCH_WEIGHTS.stat().st_size < 1e6
    assert metadata["command"].startswith("python -m lightning_gantk.metrics.train_patches")


def test_classes_are_the_tiles_to_train_on(photographs):
    training, held_out = photographs.parts()
    assert len(training) == PATCH_CLASSES and len(held_out) > 30


def test_accuracy_on_new_patches_is_the_one_in_the_file(metadata, photographs):
    new = patches(photographs, seed=int(metadata["seed"]) + 1)(2000)
    measured, told = accuracy(PatchFeatures().load(), *new), float(metadata["accuracy"])
    # two measurements on 2,000 patches each: four deviations of their difference
    assert measured == pytest.approx(told, abs=4 * (2 * told * (1 - told) / 2000) ** 0.5)
    assert measured > 0.7  # by chance 1 in 156


def test_features_have_a_mean_square_of_one(photographs):
    features = PatchFeatures()(photographs.train_dataset[:])
    assert features.shape == (4000, PatchFeatures().num_features)
    # over the last 20,000 patches that it was trained on; a patch's mean square has a deviation of 1 or so
    assert features.square().mean().item() == pytest.approx(1, abs=4 / 4000**0.5)
    assert features.std(dim=0).min() > 0


def _grid(images):
    """A pattern of two pixels' period, as transposed convolutions leave it."""
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)
    return (images + 0.1 * board).clamp(-1, 1)


def _blurred(images):
    return interpolate(avg_pool2d(images, 2), scale_factor=2, mode="bilinear")


def _rolled(images):
    """Two seams in the midst: textures stay, and edges end where they should go on."""
    return images.roll((16, 23), (2, 3))


def _averaged(images):
    """Each the mean of two: smooth colours are right, edges half as strong."""
    return (images + images.roll(1, 0)) / 2


@pytest.mark.parametrize("wrong", [_grid, _blurred, _rolled, _averaged, lambda images: -images])
def test_fid_sees_what_is_wrong_with_patches(photographs, wrong):
    images = photographs.train_dataset[:]
    found = []
    for fakes in (images[2000:], wrong(images[2000:])):
        quality = SampleQuality(PatchFeatures(), kid_subset_size=100, kid_subsets=2)
        quality.update(images[:2000], real=True)
        quality.update(fakes, real=False)
        found.append(float(quality.compute()["fid"]))
    assert found[1] > 2 * found[0]


def test_colours_change_within_limits_and_grey_stays_grey():
    images = torch.rand(50, 3, 32, 32) * 2 - 1
    changed = recoloured(images, torch.Generator())
    assert changed.min() >= -1 and changed.max() <= 1
    assert all(not torch.equal(a, b) for a, b in zip(images, changed, strict=True))
    grey = recoloured(images[:, :1].expand(-1, 3, -1, -1), torch.Generator())
    torch.testing.assert_close(grey[:, 0], grey[:, 1])


@pytest.mark.parametrize("size", [(14, 14), (64, 64), (48, 40)])
def test_other_sizes_are_resized(size):
    assert PatchFeatures()(torch.zeros(2, 3, *size)).shape == (2, 96)


@pytest.mark.parametrize("shape", [(1, 32, 32), (2,)])
def test_samples_without_colours_are_refused(shape):
    with pytest.raises(ConfigError, match=r"colour images \(3, H, W\), not samples of shape .*LeNetFeatures"):
        PatchFeatures().build(shape)


def test_a_file_that_is_none_of_ours_is_named(tmp_path):
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(ConfigError, match=r"junk' cannot be read .*train_patches --output"):
        PatchFeatures(str(tmp_path / "junk")).build((3, 32, 32))


@pytest.mark.slow
def test_the_command_writes_weights_that_it_can_make_again(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("first", "second")]
    threads = torch.get_num_threads()
    measured = [main(["--epochs", "1", "--per-epoch", "1000", "--output", path]) for path in paths]
    assert torch.get_num_threads() == threads
    assert f"accuracy on 2000 new patches: {measured[0]:.2%}" in capsys.readouterr().out
    first, second = (load_file(path) for path in paths)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert PatchFeatures(paths[0])(torch.zeros(1, 3, 32, 32)).shape == (1, 96)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--epochs", "0"], "--epochs. must be a whole number of at least 1, got 0"),
        (["--per-epoch", "0"], "--per-epoch. must be a whole number of at least 1, got 0"),
        (["--output", "nowhere/weights"], "--output must be a file in a folder that is there, got 'nowhere/weights'"),
        (["--output", "."], "--output must be a file in a folder"),
    ],
)
def test_the_command_refuses_what_would_come_to_nothing(words, says):
    with pytest.raises(ConfigError, match=says):
        main(words)
