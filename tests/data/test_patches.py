"""Patches of photographs."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import PatchesDataModule
from lightning_gantk.errors import ConfigError


def ready(**options):
    data = PatchesDataModule(**{"batch_size": 4, "image_size": 16, **options})
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture
def photograph(tmp_path):
    """200 x 60 pixels: red left of 150, and blue from there on."""
    picture = Image.new("RGB", (200, 60), "red")
    picture.paste("blue", (150, 0, 200, 60))
    picture.save(tmp_path / "photograph.png")
    return str(tmp_path / "photograph.png")


def test_patches_of_training_and_held_out_share_no_pixel(photograph):
    data = ready(photographs=[photograph], crop_sizes=[16, 32], num_samples=300, val_size=50)
    training, held_out = data.train_dataset[:], data.val_dataset[:]
    assert (training.shape, held_out.shape) == ((300, 3, 16, 16), (50, 3, 16, 16))
    assert torch.all(training == torch.tensor([1.0, -1, -1]).view(3, 1, 1))
    assert torch.all(held_out == torch.tensor([-1.0, -1, 1]).view(3, 1, 1))


def test_tiles_that_are_held_out_lie_all_over_a_photograph(tmp_path):
    """Each tile has a colour of its own: 5 x 3 of them, of which (1, 0), (3, 1) and (1, 2) are held out."""
    picture = Image.new("RGB", (5 * 17, 3 * 17))
    for number in range(15):
        column, row = number % 5, number // 5
        picture.paste((number, 0, 0), (17 * column, 17 * row, 17 * (column + 1), 17 * (row + 1)))
    picture.save(tmp_path / "tiles.png")
    data = ready(photographs=[str(tmp_path / "tiles.png")], tile=16, crop_sizes=[16], num_samples=300, val_size=60)
    for images, expected in (
        (data.train_dataset.images, set(range(15)) - {1, 8, 11}),
        (data.val_dataset.images, {1, 8, 11}),
    ):
        assert torch.equal(images[..., 0].amax((1, 2)), images[..., 0].amin((1, 2)))  # no patch is of two tiles
        assert set(images[:, 0, 0, 0].tolist()) == expected


def test_patches_are_cut_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    data = ready(photographs=[str(tmp_path / "noise.png")], crop_sizes=[16], num_samples=5, val_size=2)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (16, 16), (0, 1)).reshape(-1, 3, 16, 16)
    known = {window.tobytes() for window in windows}
    assert all(image.permute(2, 0, 1).numpy().tobytes() in known for image in data.train_dataset.images)


def test_photographs_are_read_as_pictures_of_a_folder_are(tmp_path):
    """16 bits are brought to 8, what is transparent is white, and a picture is turned as its EXIF data say."""
    Image.fromarray(np.full((40, 200), 0x4000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (200, 40), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    turned = Image.new("RGB", (40, 200))
    turned.getexif()[0x0112] = 6  # by a quarter
    turned.save(tmp_path / "turned.png", exif=turned.getexif())
    found = {}
    for name in ("deep", "clear", "turned"):
        data = ready(photographs=[str(tmp_path / f"{name}.png")], crop_sizes=[16], num_samples=4, val_size=2)
        found[name] = set(data.train_dataset.images.flatten().tolist())
        assert data.parts()[0][0].size == (150, 40)
    assert found == {"deep": {0x40}, "clear": {255}, "turned": {0}}


def test_patches_are_fixed_by_the_seed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    options = {"photographs": [str(tmp_path / "noise.png")], "num_samples": 20, "val_size": 4, "crop_sizes": [16]}
    one, same, other = (ready(seed=seed, **options).train_dataset[:] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_patches_of_the_photographs_that_packages_ship():
    pytest.importorskip("skimage")
    data = ready(num_samples=32, val_size=8, image_size=32)
    assert data.sample_shape == (3, 32, 32)
    assert data.train_dataset[:].std() > 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photographs": ["astronomer"]}, r"photograph 'astronomer' cannot be read .*one of astronaut, chelsea"),
        ({"crop_sizes": [61]}, r"a patch of 61 pixels does not fit into .* 150 wide and 60 high"),
        (
            {"tile": 60, "crop_sizes": [61]},
            r"patch of 61 pixels does not fit into .* 67 wide and 60 high: .* another tile",
        ),
        (
            {"tile": 61},
            r"is 200 wide and 60 high: two tiles of 61 pixels must fit beside each other\. Choose a smaller",
        ),
        ({"tile": 2}, "'tile' must be a whole number of at least 4, got 2"),
        ({"photographs": "rocket"}, r"photographs must list names or paths, such as \['rocket'\], got 'rocket'"),
        ({"crop_sizes": 32}, r"crop_sizes must list sizes, such as \[32\], got 32"),
        ({"crop_sizes": []}, "crop_sizes must name at least one size"),
        ({"val_part": 1.0}, r"val_part must lie between 0 and 1, not 1\.0"),
    ],
)
def test_patches_refuse_what_does_not_fit(options, message, photograph):
    with pytest.raises(ConfigError, match=message):
        ready(**{"photographs": [photograph], **options})


def test_patches_name_a_package_that_is_absent(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage.data", None)
    with pytest.raises(ConfigError, match=r"'astronaut' comes with the package scikit-image.*pip install scikit-image"):
        ready()
