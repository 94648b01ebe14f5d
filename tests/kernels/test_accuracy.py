"""What the discriminator says of its own accuracy."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.kernels import RBF, EnergyDistance, Kernel
from lightning_gantk.kernels.dynamics import accuracy
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla

LOSSES = [IPM(), LSGAN(), Hinge(), Vanilla()]


class Coarse(Kernel):
    """A Gaussian kernel that float32 gets wrong by half a hundredth."""

    def __call__(self, x, y):
        values = jnp.exp(-((x[:, None] - y[None]) ** 2).sum(-1))
        return values * 1.005 if x.dtype == jnp.float32 else values


class Jump(AdversarialLoss):
    """|s +- 1|, of whose slopes nothing is declared."""

    def a(self, scores):
        return -abs(scores + 1)

    def b(self, scores):
        return abs(scores - 1)

    def c(self, scores):
        return -scores


def _batch():
    stream = torch.Generator().manual_seed(0)
    return torch.randn(9, 3, generator=stream) + 0.5, torch.randn(7, 3, generator=stream)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_an_ordinary_batch_is_resolved(loss, dtype):
    discriminator = NTKDiscriminator(MLP(2), loss, 10.0, dtype=dtype, check_every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discriminator.fit(*_batch())
    found = discriminator.resolution.accuracy
    assert 0 <= found.scores <= {"float32": 1e-4, "float64": 1e-8}[dtype]
    assert (found.evaluation > 0) == (dtype == "float32")
    assert (found.sensitivity > 0) == (not isinstance(loss, IPM))


def test_a_krylov_space_that_an_outlier_leaves_no_digits_is_doubted():
    """The small eigenvalues have an error of the largest, 1e13, times 2e-16: scores are wrong by some 1e-4."""
    real, fake = (samples.double() for samples in _batch())
    real[0] *= 3e6
    discriminator = NTKDiscriminator(MLP(2), LSGAN(), 400.0, dtype="float64", check_every=1)
    with pytest.warns(UserWarning, match="float64 does not resolve this batch.*Gram matrix"):
        discriminator.fit(real, fake)


def test_a_gram_matrix_with_an_eigenvalue_below_zero_is_wrong_in_any_dtype():
    """Of samples of one coordinate that are 1e7 times the bias, float64 leaves no digit of the angles between them."""
    fake = torch.tensor(
        [15879993.9934122, -3022388.36010591, 6304327.07376107, -9767349.79243593, -17921258.05137486],
        dtype=torch.float64,
    )
    real = torch.tensor([725666.56663347, 4759833.54248285, 1928814.94061398, 35478990.00112172], dtype=torch.float64)
    real, fake = real[:, None], fake[:, None]
    discriminator = NTKDiscriminator(MLP(2, W_std=1.4, b_std=1.0), LSGAN(), 3.3e3, dtype="float64", check_every=1)
    with pytest.warns(UserWarning, match="float64 does not resolve this batch.*Gram matrix"):
        discriminator.fit(real, fake)


def test_independent_errors_of_the_entries_are_found_by_the_least_eigenvalue():
    stream = np.random.default_rng(0)
    samples, size = stream.standard_normal((300, 3)), 1e-4
    matrix, noise = samples @ samples.T, np.triu(stream.standard_normal((300, 300)))  # of rank 3
    root = np.sqrt(np.diag(matrix))
    noisy = matrix + size * np.outer(root, root) * (noise + np.triu(noise, 1).T)
    assert accuracy.below_zero(jnp.asarray(noisy)) == pytest.approx(size, rel=0.1)
    assert accuracy.below_zero(jnp.asarray(matrix + np.diag(root**2))) == 0


def test_noise_keeps_the_rows_of_equal_points_equal():
    points = jnp.asarray(np.random.default_rng(0).standard_normal((6, 2)))[np.array([3, 0, 5, 3, 1, 0])]
    kinds = accuracy.equals(points)
    noisy = np.asarray(accuracy.disturbed(points @ points.T, kinds, jnp.asarray(1e-3), 0.0, 0.0))
    np.testing.assert_array_equal(noisy, noisy.T)
    np.testing.assert_array_equal(noisy[[0, 1]], noisy[[3, 5]])
    assert len(np.unique(noisy[:, 0])) == 4


def test_an_outlier_among_the_reals_is_looked_at():
    real, fake = _batch()
    real[0] *= 3e5
    discriminator = NTKDiscriminator(MLP(3, b_std=0.3), Hinge(), 1.4, check_every=1)
    with pytest.warns(UserWarning, match="float32 does not resolve this batch"):
        discriminator.fit(real, fake)


def test_neither_the_fakes_nor_a_large_sample_hide_behind_the_other():
    """Sums at an outlier are a thousand times those at the fakes, and either of the two may be wrong."""
    sizes = np.array([1.0] * 7 + [1e3])
    for wrong, expected in ((0, 1e-3), (7, 1e-6)):
        ours = np.zeros(8)
        ours[wrong] = 1e-3
        assert float(accuracy.error(ours, np.zeros(8), sizes)) == pytest.approx(expected)


def test_accuracy_is_looked_at_beside_the_largest_sample_that_counts():
    points = jnp.asarray([[1.0, 2.0], [3.0, 1.0], [-9.0, 4.0], [50.0, 60.0]])  # the last one is filling
    mass = jnp.asarray([0.5, 0.5, 1.0, 0.0])
    rows = accuracy.rows_of(2, mass)
    places = np.asarray(accuracy.places(points, mass, rows))
    np.testing.assert_array_equal(places[:-1], np.asarray(points)[rows[:-1]])
    np.testing.assert_array_equal(places[-1], [4.0, -9.0])


def test_gradients_that_rounding_of_the_gram_matrix_decides_are_doubted():
    """Hinge gives a near pair with opposite goals large weights, of which the gradient there is the difference."""
    real, fake = _batch()
    real[0] = fake[0] + 1e-5
    discriminator = NTKDiscriminator(EnergyDistance(), Hinge(), 1e6, check_every=1)
    with pytest.warns(UserWarning, match="float32 does not resolve this batch.*gradients may be wrong"):
        discriminator.fit(real, fake)
    assert discriminator.resolution.accuracy.gradient < 1e-4 < discriminator.resolution.accuracy.gradient_sensitivity


def test_what_is_not_resolved_is_said_once_by_name_and_number():
    discriminator = NTKDiscriminator(Coarse(), IPM(), check_every=1)
    with pytest.warns(
        UserWarning, match=r"float32 does not resolve this batch with .*Coarse.*by \d\.\de-02.*dtype: float64"
    ):
        discriminator.fit(*_batch())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discriminator.fit(*_batch())
    assert len(discriminator.resolution.doubts) == 1


def test_float64_resolves_what_float32_does_not():
    real, fake = _batch()
    fake[0] *= 1e3  # the weights of the others drown in the rounding of its kernel
    for dtype, doubts in (("float32", True), ("float64", False)):
        discriminator = NTKDiscriminator(MLP(2), LSGAN(), 1e3, dtype=dtype, check_every=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            discriminator.fit(real, fake)
        assert bool(discriminator.resolution.doubts) == doubts


def test_a_jump_that_is_not_declared_is_in_doubt():
    discriminator = NTKDiscriminator(RBF(1.0), Jump(), 300.0, check_every=1)
    with pytest.warns(UserWarning, match="most of it by the solver"):
        discriminator.fit(*_batch())


def test_looks_are_few_and_can_be_switched_off(monkeypatch):
    discriminator = NTKDiscriminator(RBF(1.0), IPM(), check_every=10)
    looks = []
    monkeypatch.setattr(
        discriminator._compiled,
        "accuracy",
        lambda *arguments: looks.append(discriminator.resolution._fits) or discriminator.resolution.accuracy,
    )
    for _ in range(30):
        discriminator.fit(*_batch())
    assert looks == [10, 20, 30]
    discriminator.resolution.every = 0
    for _ in range(10):
        discriminator.fit(*_batch())
    assert len(looks) == 3


@pytest.mark.parametrize("loss", LOSSES[1:], ids=repr)
def test_a_batch_of_no_numbers_is_not_solved(loss):
    real, fake = _batch()
    with pytest.raises(TrainingDiverged, match="was not solved to rtol"):
        NTKDiscriminator(MLP(1), loss, check_every=1).fit(real * float("nan"), fake)


def test_bad_intervals_are_refused():
    with pytest.raises(ConfigError, match="'check_every' must be a whole number"):
        NTKDiscriminator(RBF(1.0), IPM(), check_every=-1)
