"""Alternating and simultaneous steps of a kept discriminator, by hand."""

import copy
import math

import lightning
import pytest
import torch

from datamodules.targets import GaussianMixture
from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import (
    ExactRatio,
    FiniteDiscriminator,
    KDEScore,
    LinearizedDiscriminator,
    NoiseInjected,
    Normalized,
    NTKDiscriminator,
    PrivateMeanEmbedding,
)
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM


@pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
def test_steps_of_one_particle(updates, tmp_path):
    particles = Particles(1, (1,), start=torch.tensor([[0.1]]))
    decay, step, rate = 1.0, 0.1, 0.1
    discriminator = NTKDiscriminator(
        RBF(0.5), IPM(), -math.log(1 - step * decay) / decay, dtype="float64", keep=True, decay=decay
    )
    gan = GAN(particles, discriminator, optimizer=lambda p: torch.optim.SGD(p, rate), updates=updates)
    trainer = lightning.Trainer(
        max_steps=5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(gan, torch.utils.data.DataLoader(torch.zeros(5, 1), batch_size=1))

    def slope(at, past):
        ages = [(1 - step * decay) ** (len(past) - 1 - s) for s in range(len(past))]
        terms = (at * math.exp(-(at**2) / 2) - (at - p) * math.exp(-((at - p) ** 2) / 2) for p in past)
        return step * sum(age * term for age, term in zip(ages, terms, strict=True))

    x, past = 0.1, []
    for _ in range(5):
        before = slope(x, past)
        past.append(x)
        x -= rate * (before if updates == "simultaneous" else slope(x, past))
    assert float(particles.samples) == pytest.approx(x, abs=1e-7)  # the particle is a float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": "both"}, "'updates' must be"),
        ({"updates": "simultaneous", "latents": "fresh"}, "latents must be 'shared'"),
        ({"updates": "simultaneous"}, "NTKDiscriminator has no scores then: take one that is kept"),
    ],
)
def test_bad_updates_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        GAN(Particles(2), NTKDiscriminator(RBF(0.5), IPM()), **options)


@pytest.mark.parametrize(
    "discriminator",
    [
        NTKDiscriminator(RBF(0.5), IPM(), keep=True),
        FiniteDiscriminator(MLP(1), IPM(), steps=1),
        LinearizedDiscriminator(MLP(1), IPM(), width=8),
        NTKDiscriminator(RBF(0.5), IPM()),
        PrivateMeanEmbedding(MLP(1), 1.0, 1e-5, width=8, secret=False),
        KDEScore(0.1, 1.0),
        ExactRatio(GaussianMixture([[0.0, 0.0]], std=1.0)),
        NoiseInjected(NTKDiscriminator(RBF(0.5), IPM()), level=0.1),
        Normalized(NTKDiscriminator(RBF(0.5), IPM())),
    ],
    ids=lambda discriminator: type(discriminator).__name__,
)
def test_discriminators_say_whether_they_have_scores_before_a_fit(discriminator):
    discriminator = copy.deepcopy(discriminator)
    discriminator.build((2,))
    if discriminator.scores_before_fit:
        assert torch.equal(discriminator(torch.randn(3, 2)), torch.zeros(3))  # f = 0
    else:
        with pytest.raises(ConfigError, match="no scores before fit"):
            discriminator(torch.randn(3, 2))
