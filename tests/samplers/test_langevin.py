"""Guided Langevin sampling: exact steps, its stationary spread, and samples of a run at predict."""

import lightning
import pytest
import torch

from datamodules import PointsDataModule
from datamodules.targets import GaussianRing
from lightning_gantk import GAN
from lightning_gantk.discriminators import KDEScore, SingleLevelNTK
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, Hinge
from lightning_gantk.samplers import GuidedLangevin


class _Quadratic(Discriminator):
    """|x|^2 / 2, whatever it is trained on."""

    def __init__(self):
        super().__init__(loss=IPM(), time=None)
        self.fits = 0

    def fit(self, real, fake):
        self.fits += 1

    def forward(self, x):
        return (x**2).flatten(1).sum(1) / 2


def test_without_noise_it_is_gradient_descent():
    discriminator, x = _Quadratic(), torch.randn(5, 2)
    with torch.inference_mode():  # as Lightning predicts
        found = GuidedLangevin(4, 0.1)(x, discriminator, x)
    torch.testing.assert_close(found, 0.9**4 * x)
    assert discriminator.fits == 4 and not found.requires_grad


def test_with_noise_it_settles_at_the_temperature():
    """Steps of x <- (1 - h) x + sqrt(2 h T) e have the variance 2 h T / (1 - (1 - h)^2) = T / (1 - h / 2)."""
    torch.manual_seed(0)
    found = GuidedLangevin(200, 0.1, temperature=0.5)(torch.zeros(20_000, 1), _Quadratic(), torch.zeros(1, 1))
    wanted = 0.5 / (1 - 0.05)
    assert float(found.var()) == pytest.approx(wanted, rel=5 * (2 / 20_000) ** 0.5)  # five standard errors


def test_samples_at_predict_are_refined(tmp_path):
    torch.manual_seed(0)
    data = PointsDataModule(GaussianRing(modes=1, radius=3.0, std=0.1), num_samples=32, batch_size=32)
    gan = GAN(Particles(16), KDEScore(1.0, 1.0), refine=GuidedLangevin(60, 0.3, reals=8))
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    latents = torch.utils.data.DataLoader(torch.arange(16), batch_size=16)
    gan.show_reals(data)
    (found,) = trainer.predict(gan, latents)
    centre = torch.tensor([3.0, 0.0])
    assert (found - centre).norm(dim=1).mean() < 0.5 < (gan.generator.samples - centre).norm(dim=1).mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GuidedLangevin(0, 0.1), "'steps' must be"),
        (lambda: GuidedLangevin(None, 0.1), "'steps' must be"),
        (lambda: GuidedLangevin(1, 0.0), "'step_size' must be positive"),
        (lambda: GuidedLangevin(1, 0.1, temperature=-1.0), "'temperature' must be"),
        (lambda: GuidedLangevin(1, 0.1)(torch.zeros(2, 1), SingleLevelNTK(RBF(), 1.0), torch.zeros(2, 1)), "no score"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_samples_follow_c_of_the_loss():
    discriminator, x = _Quadratic(), torch.randn(5, 2)
    discriminator.loss = Hinge()
    torch.testing.assert_close(GuidedLangevin(4, 0.1)(x, discriminator, x), 1.1**4 * x)  # c = -s: up the bowl
