"""The learnt score GAN: exact denoisers, training towards them, pretraining, and a run that resumes."""

import math

import pytest
import torch
import yaml
from tiny import tiny_fit, write_config
from torch import nn

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.cli import main
from lightning_gantk.denoisers import Denoiser, MLPDenoiser, UNet
from lightning_gantk.discriminators import DenoiserScore
from lightning_gantk.discriminators.noise_levels import NoiseLevels
from lightning_gantk.errors import ConfigError

_DRIFT = 0.287283  # E[sigma / (1 + sigma^2)] for sigma in [0.1, 10], rho = 3


class ExactOfGaussian(nn.Module):
    """F whose preconditioned denoiser (``sigma_data`` = 1) is exact for samples of N(mean, 1)."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

    def forward(self, x, time):
        # E[clean | x] = (x + sigma^2 mean) / (1 + sigma^2); the first term is what is skipped across.
        sigma = (4 * time).exp()[:, None]
        return (sigma / (1 + sigma**2).sqrt() * self.mean).expand_as(x)


def _exact(mu):
    discriminator = DenoiserScore(ExactOfGaussian(), 0.1, 10.0, sigma_data=1.0)
    discriminator.fake.network.mean.data.fill_(mu)
    return discriminator


def test_exact_denoisers_of_gaussians_are_the_conditional_mean():
    x, sigma = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None], torch.full((7,), 0.7, dtype=torch.float64)
    wanted = (x + 0.7**2 * 1.5) / (1 + 0.7**2)
    torch.testing.assert_close(_exact(1.5).fake(x, sigma), wanted)


def test_exact_denoisers_give_the_drift_of_gaussians():
    """Data N(0, 1), fakes N(mu, 1): the mean drift is -mu E[sigma / (1 + sigma^2)], whatever the noise."""
    mu, n = 1.7, 200_000
    discriminator, fake = _exact(mu), torch.randn(n, 1, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    (gradient,) = torch.autograd.grad(discriminator.generator_scores(fake).sum(), fake)
    error = float(gradient.std()) / n**0.5
    assert float(-gradient.mean()) == pytest.approx(-mu * _DRIFT, abs=5 * error)


def test_scores_are_the_log_ratio_where_noise_is_large():
    """sigma (log p_fake - log p_real) of N(mu, 1) and N(0, 1), to a part of 1 / sigma^2."""
    mu, sigma = 1.5, 100.0
    discriminator = _exact(mu)
    discriminator.levels = NoiseLevels(sigma, sigma, 1.0)
    x = torch.linspace(-200, 200, 5, dtype=torch.float64)[:, None]
    wanted = sigma * (x.square() - (x - mu).square()).squeeze(1) / (2 * (1 + sigma**2))
    torch.testing.assert_close(discriminator(x), wanted, rtol=2 / sigma**2, atol=0)


def test_value_and_gradient_for_the_generator_belong_to_the_same_noise():
    discriminator, fake = _exact(2.0), torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    x, sigma = discriminator.levels.noisy(fake)
    torch.manual_seed(0)
    scores = discriminator.generator_scores(fake)
    (gradient,) = torch.autograd.grad(scores.sum(), fake)
    torch.testing.assert_close(gradient.squeeze(1), 2.0 * sigma / (1 + sigma**2))
    errors = [(x - denoiser(x, sigma)).square().sum(1) for denoiser in (discriminator.real, discriminator.fake)]
    torch.testing.assert_close(scores, (errors[0] - errors[1]) / (2 * sigma))


def test_training_takes_nine_tenths_of_what_there_is_to_learn():
    """Of N(1, 1), sigma_data = 1: the weighted error is 1 of the exact denoiser, and 1 + sigma^2 / (1 + sigma^2) where
    F = 0, at a level sigma.
    """
    torch.manual_seed(0)
    samples, levels = torch.randn(4096, 1) + 1, NoiseLevels(0.1, 10.0, 3.0)
    denoiser = Denoiser(MLPDenoiser((1,), (32,), embedding=8), lambda p: torch.optim.Adam(p, 1e-2), sigma_data=1.0)
    for _ in range(150):
        denoiser.step(samples, levels.draw(samples))
    error = torch.stack([denoiser.step(samples, levels.draw(samples)) for _ in range(10)]).mean()
    unlearnt = (1 - 1 / (1 + levels.draw(samples) ** 2)).mean()
    # A weighted square of the exact denoiser has variance 2, and there are 40,960.
    assert abs(float(error) - 1) < 0.1 * float(unlearnt) + 5 * math.sqrt(2 / 40960)


def test_levels_need_a_range():
    for bad in ((0.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, 0.0), (1.0, math.inf, 1.0)):
        with pytest.raises(ConfigError, match="must"):
            NoiseLevels(*bad)


def test_noise_has_the_size_of_its_level():
    torch.manual_seed(0)
    levels, count = NoiseLevels(0.1, 10, 3), 100_000
    x, sigma = levels.noisy(torch.full((count, 1), 7.0))
    noise = (x.squeeze(1) - 7) / sigma
    assert 0.1 <= float(sigma.min()) < 0.11 and 9.9 < float(sigma.max()) <= 10
    assert float(noise.square().mean()) == pytest.approx(1, abs=5 * math.sqrt(2 / count))  # five standard errors
    assert abs(float((noise * (sigma - sigma.mean())).mean() / sigma.std())) < 5 / math.sqrt(count)


def test_each_sample_is_denoised_at_a_level_of_its_own(monkeypatch):
    seen = []
    monkeypatch.setattr(Denoiser, "step", lambda denoiser, samples, sigma: seen.append(sigma))
    torch.manual_seed(0)
    DenoiserScore(MLPDenoiser((2,), (8,), embedding=4), 0.1, 10.0, steps=3).fit(torch.zeros(200, 2), torch.ones(200, 2))
    assert len(seen) == 6
    for sigma in seen:
        assert len(sigma.unique()) == 200 and float(sigma.min()) < 0.2 and float(sigma.max()) > 9


def test_data_are_denoised_by_pretraining_once():
    torch.manual_seed(0)
    discriminator = DenoiserScore(MLPDenoiser((2,), (8,), embedding=4), steps=1, pretrain=5)
    reals = torch.randn(20, 2)
    before = [[value.clone() for value in one.parameters()] for one in (discriminator.real, discriminator.fake)]
    discriminator.prepare([reals[:15], reals[15:]])
    assert not any(map(torch.equal, before[0], discriminator.real.parameters()))
    assert all(map(torch.equal, before[1], discriminator.fake.parameters()))
    weights = {name: value.clone() for name, value in discriminator.real.named_parameters()}
    assert float(discriminator.real.optimizer.param_groups[0]["lr"]) == 0.0  # the cosine has come to its end
    discriminator.prepare([reals])  # as a resumed run does
    discriminator.fit(reals, reals + 1)
    for name, value in discriminator.real.named_parameters():
        assert torch.equal(value, weights[name])
    other = DenoiserScore(MLPDenoiser((2,), (8,), embedding=4), steps=1, pretrain=5)
    other.load_state_dict(discriminator.state_dict())
    other.fit(reals, reals + 1)  # needs no second pretraining


@pytest.mark.parametrize("pretrain", [0, 4])
def test_a_resumed_run_goes_on_bit_for_bit(pretrain, tmp_path):
    def run(folder, steps, **options):
        torch.manual_seed(0)
        score = DenoiserScore(MLPDenoiser((2,), (8,), embedding=4), 0.1, 2.0, steps=2, pretrain=pretrain)
        return tiny_fit(folder, LastCheckpoint(), discriminator=score, trainer={"max_steps": steps}, **options)

    whole, _ = run(tmp_path / "whole", 6)
    _, first = run(tmp_path / "first", 3)
    resumed, _ = run(tmp_path / "second", 6, ckpt_path=LastCheckpoint.path(first))
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_command_line_trains_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = {"class_path": "lightning_gantk.denoisers.UNet", "init_args": {"in_shape": [1, 8, 8], "channels": 8}}
    score = {
        "class_path": "lightning_gantk.discriminators.DenoiserScore",
        "init_args": {"network": network, "steps": 1},
    }
    score["init_args"]["optimizer"] = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}}
    path = write_config(tmp_path / "score.yaml")
    words = yaml.safe_load(path.read_text())
    words["model"]["discriminator"] = score
    path.write_text(yaml.safe_dump(words))
    command = main(["fit", f"--config={path}"])
    assert command.trainer.global_step == 6
    assert isinstance(command.model.discriminator.fake.optimizer, torch.optim.AdamW)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNet(channels=12), "multiple of 8"),
        (lambda: UNet(levels=0), "'levels' must be a whole number of at least 1"),
        (lambda: UNet((1, 28, 28), levels=4), "multiples of 8"),
        (lambda: UNet((2,)), r"\(C, H, W\)"),
        (lambda: MLPDenoiser((2,), ()), "'hidden' must list"),
        (lambda: MLPDenoiser((2,), embedding=3), "'embedding' must be an even number"),
    ],
)
def test_networks_refuse(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("options", [{}, {"patch": 2}, {"levels": 1}, {"levels": 2, "patch": 4}], ids=str)
def test_unet_starts_at_zero_and_learns_all_its_weights(options):
    torch.manual_seed(0)
    network, x, time = UNet((2, 16, 24), 8, embedding=4, **options), torch.randn(3, 2, 16, 24), torch.randn(3)
    assert torch.equal(network(x, time), torch.zeros_like(x))
    nn.init.normal_(network.last.weight)
    network(x, time).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert not torch.equal(network(x, time), network(x, time + 1))
