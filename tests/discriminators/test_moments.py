"""Moments of features: the witness of the kernel's MMD to all reals, averages of fakes, what the kernel tends to."""

import math

import jax.numpy as jnp
import pytest
import torch
from torch import nn

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import MomentEmbedding
from lightning_gantk.errors import ConfigError


def _embedding(reals, **options):
    torch.manual_seed(0)
    discriminator = MomentEmbedding(MLP(1), width=32, **options).double()
    discriminator.build(tuple(reals.shape[1:]))
    discriminator.double().prepare(reals.split(7))
    return discriminator


@pytest.mark.parametrize("second", [0.0, 0.3])
def test_scores_are_the_witness_over_the_mmd(second):
    reals, fakes, x = torch.randn(40, 3).double(), torch.randn(6, 3).double() + 1, torch.randn(4, 3).double()
    discriminator = _embedding(reals, second=second, decay=1.0)
    discriminator.fit(reals[:5], fakes)
    matrix = discriminator.gram(torch.cat([x, fakes, reals]))
    at, of_fakes, of_reals = slice(4), slice(4, 10), slice(10, None)
    witness = matrix[at, of_fakes].mean(1) - matrix[at, of_reals].mean(1)
    squared = matrix[of_fakes, of_fakes].mean() + matrix[of_reals, of_reals].mean()
    squared = squared - 2 * matrix[of_fakes, of_reals].mean()
    torch.testing.assert_close(discriminator(x), witness / squared.sqrt())
    zeros = torch.zeros(1).double()
    assert float(discriminator.statistics(zeros, zeros)["mmd"]) == pytest.approx(float(squared.sqrt()))


def test_fakes_are_averaged_evenly_at_first_and_then_with_the_share():
    reals = torch.randn(40, 3).double()
    batches = [torch.randn(6, 3).double() + shift for shift in range(4)]
    kept = _embedding(reals, decay=0.4)
    alone = [_embedding(reals, decay=1.0) for _ in batches]
    for discriminator, batch in zip(alone, batches, strict=True):
        discriminator.fit(reals, batch)
        kept.fit(reals, batch)
    means = [discriminator.mean for discriminator in alone]
    even = (means[0] + means[1]) / 2
    third = 0.6 * even + 0.4 * means[2]
    torch.testing.assert_close(kept.mean, 0.6 * third + 0.4 * means[3])
    kept.reset()
    assert not kept(batches[0]).any()


def test_reals_have_the_mean_0_and_the_second_moments_that_are_kept():
    reals = torch.randn(200, 3).double() * torch.tensor([3.0, 1.0, 0.3])
    discriminator = _embedding(reals, whitening=0.5, components=5)
    z = discriminator._components(reals)
    torch.testing.assert_close(z.mean(0), torch.zeros(5).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(z.T @ z / 200, discriminator.real_second.diag(), atol=1e-10, rtol=1e-10)
    assert float(discriminator.real_second.mean()) == pytest.approx(1)


@pytest.mark.parametrize(("whitening", "power"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_whitening_is_a_power_of_the_variances(whitening, power):
    reals = torch.randn(200, 3).double() * torch.tensor([3.0, 1.0, 0.3])
    plain, other = (_embedding(reals, whitening=w, ridge=1e-9, components=4) for w in (0.0, whitening))
    wanted = plain.real_second**power
    torch.testing.assert_close(other.real_second, wanted / wanted.mean(), rtol=1e-6, atol=0)


def test_features_have_the_nngp_kernel_at_large_width():
    architecture, width, x = MLP(1, W_std=1.4, b_std=0.3), 2**12, torch.randn(5, 3)
    discriminator = MomentEmbedding(architecture, width=width)
    discriminator.build((3,))
    found = 1.4**2 * discriminator._features(x) @ discriminator._features(x).T / width
    points = jnp.asarray(x.numpy())
    wanted = torch.tensor(architecture.kernel("nngp")(points, points).tolist())
    # A mean over units of products of two rectified Gaussians, whose deviation is at most sqrt(6) times its own size.
    error = 5 * math.sqrt(6 / width) * float(wanted.max())
    torch.testing.assert_close(found, wanted, atol=error, rtol=0)


def test_modules_give_features_themselves():
    discriminator = MomentEmbedding(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))
    discriminator.prepare([torch.randn(20, 1, 2, 2)])
    discriminator.fit(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2))
    assert discriminator(torch.ones(2, 1, 2, 2)).shape == (2,)
    with pytest.raises(ConfigError, match=r"features \(N, F\)"):
        MomentEmbedding(nn.Conv2d(1, 1, 1)).build((1, 2, 2))


def test_parallel_activations_have_no_last_layer():
    with pytest.raises(ConfigError, match="does not end in a dense layer"):
        MomentEmbedding(DCGAN(1, ["relu", "abs"]), width=4).build((1, 8, 8))
