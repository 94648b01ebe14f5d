"""Sliced Wasserstein distances of patches: exact cases, and what they see that whole images do not say."""

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch.nn.functional import avg_pool2d, pad

from datamodules import PatchesDataModule
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import EnergyDistance, SlicedWasserstein
from lightning_gantk.metrics.sliced import _projected, _smoothed, laplacian_pyramid, wasserstein


def _measured(quality, real, fake):
    quality.reset(real=True)
    quality.update(real, real=True)
    quality.update(fake, real=False)
    return {name: value.item() for name, value in quality.compute().items()}


@pytest.mark.parametrize(("n", "m"), [(7, 7), (6, 9), (1, 5), (12, 4)])
def test_one_dimension_is_scipys(n, m):
    first, second = torch.randn(3, n).double(), torch.randn(3, m).double() + 0.3
    expected = [wasserstein_distance(x, y) for x, y in zip(first, second, strict=True)]
    torch.testing.assert_close(wasserstein(first, second), torch.tensor(expected).double(), rtol=1e-12, atol=1e-14)


def test_pyramid_adds_up_to_the_images_and_its_levels_halve():
    images = torch.rand(2, 3, 64, 48, dtype=torch.float64)
    levels = laplacian_pyramid(images, 12)
    assert [tuple(level.shape[2:]) for level in levels] == [(64, 48), (32, 24), (16, 12)]
    found = levels[-1]
    for level in reversed(levels[:-1]):
        spread = torch.zeros_like(level)
        spread[:, :, ::2, ::2] = found
        found = level + 4 * _smoothed(spread)
    torch.testing.assert_close(found, images, rtol=1e-14, atol=1e-14)


def test_brighter_images_differ_at_the_coarsest_level_alone_and_by_the_shift():
    real, shift = torch.rand(9, 1, 32, 32, dtype=torch.float64), 0.25
    quality = SlicedWasserstein(projections=64)
    found = _measured(quality, real, real + shift)
    # a projection moves by the shift times the sum of its direction, in units of the level's deviation
    deviation = laplacian_pyramid(real, 16)[-1].std(correction=0)
    expected = (shift * quality.directions(1).flatten(1).sum(1).abs().mean() / deviation).item()
    assert found["swd_16"] == pytest.approx(expected, rel=1e-10)
    assert found["swd_32"] == pytest.approx(0.0, abs=1e-10)  # float64
    assert found["swd"] == pytest.approx(expected / 2, rel=1e-10)


def test_a_channel_without_variation_keeps_its_unit():
    real = torch.zeros(4, 1, 16, 16)
    quality = SlicedWasserstein(projections=16)
    expected = 0.5 * quality.directions(1).flatten(1).sum(1).abs().mean().item()
    assert _measured(quality, real, real + 0.5) == pytest.approx({"swd_16": expected, "swd": expected}, rel=1e-12)


def test_blur_is_seen_where_the_energy_distance_of_pixels_sees_none():
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    data = PatchesDataModule(image_size=32, crop_sizes=(32,), num_samples=800, val_size=8)
    data.prepare_data()
    data.setup("fit")
    real, other = torch.stack([data.train_dataset[i] for i in range(800)]).split(400)
    blurred = avg_pool2d(pad(other, (2, 2, 2, 2), mode="reflect"), 5, 1)
    found, floor = (_measured(SlicedWasserstein(projections=64), real, fake) for fake in (blurred, other))
    of_pixels, its_floor = (_measured(EnergyDistance(), real, fake)["energy_distance"] for fake in (blurred, other))
    assert of_pixels < 1.5 * its_floor
    assert found["swd_32"] > 5 * floor["swd_32"]


@pytest.mark.parametrize("shape", [(2,), (1, 6, 9), (3, 3)])
def test_samples_that_have_no_patches_are_refused(shape):
    with pytest.raises(ConfigError, match="of at least 7 pixels, got samples of shape"):
        SlicedWasserstein().build(shape)
    with pytest.raises(ConfigError, match="of at least 7 pixels"):
        _measured(SlicedWasserstein(), torch.rand(3, *shape), torch.rand(3, *shape))


@pytest.mark.parametrize(("option", "value"), [("projections", 0), ("smallest", 6), ("num_samples", 0)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=f"'{option}' must be a whole number of at least .*, got {value}"):
        SlicedWasserstein(**{option: value})


def test_channels_have_units_of_their_own():
    real, fake = torch.rand(2, 6, 2, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    units = torch.tensor([1.0, 5.0], dtype=torch.float64)[:, None, None]
    quality = SlicedWasserstein()
    plain, scaled = (_measured(quality, *(unit * images for images in (real, fake))) for unit in (1, units))
    assert scaled == pytest.approx(plain, rel=1e-10)


def test_patches_lie_on_a_grid_of_some_dozen_along_a_side():
    patches = _projected(torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 7, 7))
    assert patches.shape == (1, 12 * 12)  # 122 places, every eleventh


def test_sides_that_cannot_be_halved_end_a_pyramid():
    assert [len(laplacian_pyramid(torch.rand(1, 1, side, 32), 8)) for side in (32, 33)] == [3, 1]
