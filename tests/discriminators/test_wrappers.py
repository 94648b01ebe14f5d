"""Noise, normalisation, and critics that are known without training: exact small cases."""

import math

import numpy as np
import pytest
import torch

from datamodules.targets import GaussianMixture
from lightning_gantk.discriminators import (
    Discriminator,
    ExactRatio,
    KDEScore,
    NoiseInjected,
    Normalized,
    NTKDiscriminator,
)
from lightning_gantk.discriminators.conditional import conditional
from lightning_gantk.discriminators.labels import joined
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF, Polyharmonic
from lightning_gantk.kernels.distance import DistanceKernel
from lightning_gantk.losses import IPM, MonoFlow

_UNIT = RBF(gamma=0.5)  # exp(-|x - y|^2 / 2) in one dimension


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def _slope(discriminator, x, scores=None):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((scores or discriminator)(x).sum(), x)[0]


def _infinite(kernel):
    return NTKDiscriminator(kernel, IPM(), dtype="float64", check_every=0)


def test_noise_lets_a_far_fake_feel_the_real_one():
    discriminator = NoiseInjected(_infinite(_UNIT), level=2.0)
    discriminator.fit(_column(0.0), _column(4.0))
    assert float(_slope(discriminator, _column(4.0))) == pytest.approx(4 * math.exp(-8), rel=1e-6)
    torch.manual_seed(0)
    slopes = _slope(discriminator, _column(4.0).expand(200_000, 1), discriminator.generator_scores)
    wanted = 4 * 5**-1.5 * math.exp(-8 / 5)  # 0.072233; the fake's own kernel counts 0 by symmetry
    assert float(slopes.mean()) == pytest.approx(wanted, abs=5 * float(slopes.std()) / 200_000**0.5)


def test_noise_decays_by_fits_and_its_level_is_part_of_the_state():
    discriminator = NoiseInjected(_infinite(_UNIT), level=1.0, decay=0.5, every=2)
    levels = []
    for _ in range(5):
        discriminator.fit(_column(0.0), _column(1.0))
        levels.append(discriminator.beta)
    assert levels == [1.0, 1.0, 0.5, 0.5, 0.25]
    other = NoiseInjected(_infinite(_UNIT), level=1.0, decay=0.5, every=2)
    other.load_state_dict(discriminator.state_dict())
    assert other.beta == 0.25


def test_noise_leaves_conditions_alone():
    class Coordinates(Discriminator):
        """Scores by one number: all coordinates, weighted."""

        def __init__(self, weights):
            super().__init__(loss=IPM(), time=None)
            self.weights = weights

        def fit(self, real, fake):
            pass

        def forward(self, x):
            return x @ self.weights

    fake = torch.randn(7, 2)
    discriminator = conditional(NoiseInjected(Coordinates(torch.tensor([0.0, 0, 1, 10, 100])), level=1.0), 3)
    scores = discriminator.generator_scores(joined(fake, torch.tensor([0, 1, 2, 0, 1, 2, 0])))
    assert scores.tolist() == [1, 10, 100, 1, 10, 100, 1]


@pytest.mark.parametrize(
    "inner", [KDEScore(0.1, 1.0), NoiseInjected(_infinite(_UNIT), 1.0)], ids=lambda one: type(one).__name__
)
def test_discriminators_that_score_noisy_fakes_are_not_wrapped(inner):
    with pytest.raises(
        ConfigError, match=f"stands around the scores of samples, and {type(inner).__name__} scores noisy"
    ):
        NoiseInjected(inner, 1.0)


def test_densities_at_levels_of_noise_take_no_classes():
    with pytest.raises(ConfigError, match="a class has none: leave out 'classes'"):
        conditional(KDEScore(0.1, 1.0), 3)


@pytest.mark.parametrize(
    ("kernel", "wanted"), [(_UNIT, 1.141782), (Polyharmonic(1.0), 2 * math.sqrt(2) / 3)], ids=["gaussian", "energy"]
)
def test_a_normalised_flow_arrives_in_finite_time(kernel, wanted):
    """From x = 1 to a real at 0: the integral of 1 / f'(x) over the way."""
    discriminator = Normalized(_infinite(kernel), floor=1e-9)
    nodes, weights = np.polynomial.legendre.leggauss(30)
    time = 0.0
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        discriminator.fit(_column(0.0), _column(node))
        time += weight / float(_slope(discriminator, _column(node)))
    # Gauss's rule on sqrt(x), the harder of the two integrands, errs by some 0.3 / points^3.
    assert time == pytest.approx(wanted, abs=2e-5)


def test_normalised_witness_has_norm_one():
    discriminator = Normalized(_infinite(_UNIT))
    real, fake = torch.randn(6, 1, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64) + 1
    discriminator.fit(real, fake)
    gap = discriminator(fake).mean() - discriminator(real).mean()  # <f, w> = |w| where |f| = 1
    matrix = _infinite(_UNIT).gram(torch.cat([fake, real]))
    weights = torch.cat([torch.full((5,), 1 / 5), torch.full((6,), -1 / 6)]).double()
    assert float(gap) == pytest.approx(float((weights @ matrix @ weights).sqrt()))


class _Squared(DistanceKernel):
    """``(x.y / d)^2``."""

    scale = 1.0

    def of_distance(self, v, q_x, q_y, dimensions):
        return ((q_x + q_y - v) / 2) ** 2


def test_scaled_radius_is_that_of_values_and_gradients():
    real = torch.randn(5, 3, dtype=torch.float64)
    q = real.square().mean(1)
    assert _infinite(_Squared()).energy_at(real) == pytest.approx(float((q**2 + 2 * (1 + 3) * q / 3).mean()))
    assert _infinite(RBF(gamma=0.5)).energy_at(_column(0.0, 3.0)) == pytest.approx(2.0)
    by_scale, by_mmd = Normalized(_infinite(_UNIT), by="scaled"), Normalized(_infinite(_UNIT))
    for discriminator in (by_scale, by_mmd):
        discriminator.fit(_column(0.0), _column(1.0))
    torch.testing.assert_close(by_scale(_column(0.4)), 3**-0.5 * by_mmd(_column(0.4)))


def test_score_of_one_point_each():
    """At level sigma the gradient is sigma (fake - real) / sigma^2, wherever it is asked for."""
    discriminator = KDEScore(2.0, 2.0)
    discriminator.fit(_column(0.0), _column(0.7))
    for scores in (discriminator, discriminator.generator_scores):
        torch.testing.assert_close(_slope(discriminator, _column(-1.0, 3.0), scores), _column(0.35, 0.35))


def test_score_is_of_densities_whatever_the_numbers_of_samples():
    discriminator = KDEScore(2.0, 2.0)
    discriminator.fit(torch.ones(1, 2), torch.ones(4, 2))
    torch.testing.assert_close(discriminator(torch.randn(3, 2)), torch.zeros(3), rtol=0, atol=1e-6)


def test_levels_of_the_score_give_the_drift_of_gaussians():
    """Data N(0, 1), fakes N(mu, 1): the mean drift is -mu E[sigma / (1 + sigma^2)]."""
    uniform = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    sigma = KDEScore(0.1, 10.0, rho=3.0).levels(uniform)
    assert float((sigma / (1 + sigma**2)).mean()) == pytest.approx(0.287283, abs=1e-6)
    assert 9.99 < float(sigma[0]) < 10 and 0.1 < float(sigma[-1]) < 0.101


@pytest.mark.parametrize(("loss", "sign"), [(MonoFlow("logit"), 1), (IPM(), -1)], ids=["reals high", "fakes high"])
def test_exact_ratio_of_two_gaussians(loss, sign):
    """d(x) = -mu x + mu^2 / 2 for fakes of mean mu and variance 1, data N(0, 1)."""
    fake = torch.randn(50, 1, dtype=torch.float64)
    fake = (fake - fake.mean()) / fake.std(correction=0) + 2
    discriminator = ExactRatio(GaussianMixture([0.0], std=1.0), loss, ridge=0.0)
    discriminator.fit(torch.zeros(1, 1, dtype=torch.float64), fake)
    x = _column(-1.0, 0.0, 2.5)
    torch.testing.assert_close(discriminator(x), sign * (-2 * x[:, 0] + 2))


def test_log_density_of_a_mixture_integrates_to_one():
    target = GaussianMixture([-1.0, 2.0], std=0.5, weights=[1, 3])
    grid = torch.linspace(-6, 7, 4001, dtype=torch.float64)[:, None]
    density = target.log_density(grid).exp()
    assert float(torch.trapezoid(density, grid[:, 0])) == pytest.approx(1.0, abs=1e-6)
    assert float(torch.trapezoid(density * grid[:, 0], grid[:, 0])) == pytest.approx(1.25, abs=1e-6)
