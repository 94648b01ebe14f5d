"""Pictures of what a generator has learned, and pictures for loggers."""

import inspect

import pytest
import torch
from lightning.pytorch.loggers import WandbLogger
from tiny import Memory, TinyData, TinyDiscriminator, tiny_fit

from lightning_gantk import GAN
from lightning_gantk.callbacks import SampleGrid
from lightning_gantk.callbacks.samples import captioned
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import DCGANGenerator, MLPGenerator, Particles
from lightning_gantk.pictures import latents


@pytest.fixture(params=[None, 3], ids=["plain", "classes"])
def gan(request):
    torch.manual_seed(0)
    generator = MLPGenerator((1, 4, 4), 5, (8,), classes=request.param)
    return GAN(generator, TinyDiscriminator())


def _latents(gan, count, seed=0):
    return gan.generator.latent(count, generator=torch.Generator().manual_seed(seed))


def test_interpolation_begins_and_ends_at_latents(gan):
    images = latents.interpolation(gan, rows=2, steps=4)
    assert images.shape == (8, 1, 4, 4)
    ends = _latents(gan, 4)
    if gan.generator.classes:
        ends[1::2, 5:] = ends[::2, 5:]  # a row is of one class
    found = gan.sample(ends)
    torch.testing.assert_close(images[[0, 3, 4, 7]], found, rtol=1e-5, atol=1e-6)


def test_sweep_changes_one_coordinate_a_row_the_strongest_first(gan):
    with torch.no_grad():
        gan.generator.network[0].weight[:, 2] *= 10
        gan.generator.network[0].weight[:, 4] = 0
    images = latents.sweep(gan, coordinates=5, steps=3, reach=2.0).view(5, 3, -1)
    latent = _latents(gan, 1)
    latent[0, 2] = 2.0
    torch.testing.assert_close(images[0, 2], gan.sample(latent).flatten(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(images[4, 0], images[4, 2], rtol=1e-5, atol=1e-6)  # float32, other places of a batch


def test_truncation_goes_from_the_mean_to_the_latents(gan):
    images = latents.truncation(gan, levels=(0.0, 1.0), count=3)
    torch.testing.assert_close(images[3:], gan.sample(_latents(gan, 3)), rtol=1e-5, atol=1e-6)
    if not gan.generator.classes:
        torch.testing.assert_close(images[0], images[1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigError, match="'levels'"):
        latents.truncation(gan, levels=(-1.0,))


def test_grid_shows_images_alone(gan):
    drawn = latents.grid(latents.truncation(gan, count=2), columns=2, title="t", rows=("a", "b"))
    assert len(drawn.axes) == 10
    with pytest.raises(ConfigError, match="1 or 3 channels"):
        latents.grid(torch.zeros(4, 2), columns=2, title="t")
    with pytest.raises(ConfigError, match="samples are numbered"):
        latents.sweep(GAN(Particles(4, (2,)), TinyDiscriminator()))


class Images(Memory):
    """As Lightning's logger of Weights & Biases takes pictures."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def log_image(self, key, images, step=None):
        self.seen.append((key, step, images[0].size))


def test_grids_reach_a_logger_that_takes_pictures(tmp_path):
    assert {"key", "images", "step"} <= set(inspect.signature(WandbLogger.log_image).parameters)
    logger = Images()
    gan = GAN(DCGANGenerator((1, 8, 8), 3, 2, classes=2), TinyDiscriminator())
    data = TinyData((1, 8, 8))
    data.labels, data.train_labels = True, torch.arange(42) % 2
    tiny_fit(
        tmp_path, SampleGrid(2, num_samples=6), gan=gan, data=data, trainer={"logger": logger, "limit_val_batches": 0}
    )
    assert [(key, step) for key, step, _ in logger.seen] == [("samples", step) for step in (0, 2, 3)]
    width, height = logger.seen[0][2]
    assert width > height  # two rows of three, and a line of text


def test_caption_stands_below_the_picture():
    picture = torch.zeros(3, 60, 640)
    with_text = captioned(picture, "step 3    FID 1.5")
    assert with_text.shape[-1] == 640 and with_text.shape[-2] > 60
    torch.testing.assert_close(with_text[:, :60], picture)
    strip = with_text[:, 60:]
    assert 0.5 < float(strip.mean()) < 1 and float(strip.min()) < 0.3
