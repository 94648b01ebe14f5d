"""DP-NTK: noise of the analytic mechanism, sensitivity of the embedding, and a critic that has seen the reals once."""

import math

import pytest
import torch
from scipy.stats import kstest
from tiny import tiny_fit

from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import ChangedSettings, LastCheckpoint
from lightning_gantk.discriminators import NTKDiscriminator, PrivateMeanEmbedding, private
from lightning_gantk.discriminators.conditional import conditional
from lightning_gantk.discriminators.labels import joined
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM
from lightning_gantk.privacy import gaussian_delta, gaussian_epsilon, gaussian_sigma, rdp_epsilon, secret_noise

noises = pytest.mark.parametrize(
    ("epsilon", "sigma"), [(10.0, 0.499889), (1.0, 3.730632), (0.2, 16.304133)], ids=["10", "1", "0.2"]
)


@noises
def test_noise_is_that_of_the_analytic_mechanism(epsilon, sigma):
    found = gaussian_sigma(epsilon, 1e-5)
    assert found == pytest.approx(sigma, abs=1e-6)
    assert gaussian_delta(found, epsilon) == pytest.approx(1e-5, rel=1e-6)
    assert gaussian_epsilon(found, 1e-5) == pytest.approx(epsilon, rel=1e-9)


def test_no_noise_no_privacy_and_no_release_nothing_spent():
    assert gaussian_sigma(math.inf, 1e-5) == 0
    assert gaussian_epsilon(0.0, 1e-5) == math.inf
    assert gaussian_epsilon(1.0, 1e-5, releases=0) == 0
    assert gaussian_epsilon(2.0, 1e-5, releases=4) == pytest.approx(gaussian_epsilon(1.0, 1e-5))
    assert gaussian_epsilon(1e6, 1e-5) == 0


@noises
def test_renyis_accountant_spends_a_little_more(epsilon, sigma):
    """The noise that its newer conversion asks for (0.529598, 4.045130, 17.909552) is 6 to 10 % larger."""
    pytest.importorskip("opacus")
    wanted = {10.0: 0.529598, 1.0: 4.045130, 0.2: 17.909552}[epsilon]
    assert rdp_epsilon(wanted, 1e-5) == pytest.approx(epsilon, rel=2e-3)  # orders are a grid
    assert rdp_epsilon(sigma, 1e-5) > gaussian_epsilon(sigma, 1e-5)


def _embedding(reals, epsilon=math.inf, seed=0, *, secret=False, classes=None):
    torch.manual_seed(0)
    discriminator = PrivateMeanEmbedding(MLP(1), epsilon, 1e-5, width=32, classes=classes, secret=secret)
    discriminator.build(tuple(reals.shape[1:]))
    torch.manual_seed(seed)
    discriminator.prepare(reals.split(7))
    return discriminator


def test_one_sample_that_is_replaced_moves_the_embedding_by_at_most_two_over_m():
    reals = torch.randn(20, 2)
    other = reals.clone()
    other[3] = 100 * torch.randn(2)
    first, second = (_embedding(one).embedding for one in (reals, other))
    assert first.norm() <= 1
    assert 0 < (first - second).norm() <= 2 / 20


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("classes", [None, 3])
def test_noise_has_the_size_of_the_sensitivity_in_every_coordinate(classes, secret, monkeypatch):
    asked = []

    def ones(*shape):
        asked.append(shape)
        return torch.ones(shape)

    monkeypatch.setattr(torch, "randn_like", lambda like: ones(*like.shape))
    monkeypatch.setattr(private, "secret_noise", lambda *shape: ones(*shape).double())
    reals = torch.randn(20, 2)
    if classes:
        reals = joined(reals, torch.arange(20) % 3)
    noisy, exact = (_embedding(reals, epsilon, secret=secret, classes=classes).embedding for epsilon in (1.0, math.inf))
    wanted = torch.full_like(exact, 2 * gaussian_sigma(1.0, 1e-5) / 20)
    torch.testing.assert_close(noisy - exact, wanted, rtol=0, atol=2**-22)  # roundings of numbers below 2
    assert asked == [exact.shape] * 2


def test_secret_noise_is_normal_and_nobody_can_make_it_again():
    noise = secret_noise(100, 1000).flatten()
    assert kstest(noise.numpy(), "norm").pvalue > 1e-6  # one false alarm in a million runs
    reals = torch.randn(20, 2)
    one, other = (_embedding(reals, 1.0, secret=True).embedding for _ in range(2))
    assert (one != other).all()
    assert torch.equal(*(_embedding(reals, 1.0).embedding for _ in range(2)))


def test_without_noise_the_generator_follows_the_mmd_to_all_reals():
    reals, fake = torch.randn(20, 2).double() + 1, torch.randn(6, 2).double()
    discriminator = _embedding(reals.float()).double()
    fake.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator.generator_loss(reals[:3], fake), fake)

    def energy(x):
        matrix = discriminator.gram(torch.cat([x, reals]).detach()) if not x.requires_grad else None
        n = len(x)
        return matrix[:n, :n].mean() - 2 * matrix[:n, n:].mean()

    step, at = 1e-5, fake.detach()
    for i, a in ((0, 0), (5, 1)):
        move = torch.zeros_like(at)
        move[i, a] = step
        slope = (energy(at + move) - energy(at - move)) / (2 * step)
        # M~ was released in float32
        assert float(slope) == pytest.approx(float(gradient[i, a]), abs=1e-6)


def _labelled(samples, epsilon=math.inf):
    torch.manual_seed(0)
    discriminator = conditional(PrivateMeanEmbedding(MLP(1), epsilon, 1e-5, width=32), 3)
    discriminator.build((3,))
    discriminator.prepare(samples.split(7))
    return discriminator


def test_with_classes_it_is_the_mmd_of_the_product_kernel_to_all_reals():
    labels = torch.arange(20) % 3
    reals, fake = joined(torch.randn(20, 2) + 1, labels), joined(torch.randn(6, 2), labels[:6])
    discriminator = _labelled(reals)
    assert discriminator.embedding.shape[0] == 3
    discriminator.fit(reals[:6], fake)
    matrix = discriminator.gram(torch.cat([fake, reals]))
    assert (matrix[:6, :6][labels[:6, None] != labels[:6]] == 0).all()
    wanted = 2 * (matrix[:, :6].mean(1) - matrix[:, 6:].mean(1))
    # Sums of 26 numbers of at most 1 in float32
    torch.testing.assert_close(discriminator(torch.cat([fake, reals])), wanted, rtol=0, atol=26 * 2**-23)


def test_a_class_that_changes_moves_the_embedding_by_no_more_than_two_over_m():
    reals = joined(torch.randn(20, 2), torch.arange(20) % 3)
    other = reals.clone()
    other[4] = torch.tensor([50.0, -80.0, 2.0])
    first, second = (_labelled(one).embedding for one in (reals, other))
    assert 0 < (first - second).norm() <= 2 / 20


def test_classes_that_are_none_are_refused():
    discriminator = _labelled(joined(torch.randn(20, 2), torch.arange(20) % 3))
    with pytest.raises(ConfigError, match="class last, between 0 and 2; got 3 to 3"):
        discriminator.fit(torch.zeros(4, 3), joined(torch.zeros(4, 2), torch.full((4,), 3)))
    with pytest.raises(ConfigError, match="has 3 classes and the generator 4"):
        conditional(discriminator, 4)
    with pytest.raises(ConfigError, match="'classes' must be a whole number of at least 2"):
        PrivateMeanEmbedding(MLP(1), 1.0, 1e-5, classes=1)


def _spent(discriminator):
    return float(discriminator.statistics(torch.zeros(2), torch.zeros(2))["epsilon_spent"])


def test_reals_are_seen_once():
    discriminator = _embedding(torch.randn(20, 2), 1.0, secret=True)
    assert _spent(_embedding(torch.randn(20, 2), math.inf, secret=True)) == pytest.approx(1e30)
    before = discriminator.embedding.clone()
    discriminator.prepare([torch.randn(9, 2)])  # as a resumed run asks
    assert torch.equal(discriminator.embedding, before) and int(discriminator.seen) == 20
    assert _spent(discriminator) == pytest.approx(1.0)


def test_noise_of_the_seed_is_told_and_spends_everything():
    with pytest.warns(UserWarning, match="takes the noise away, and the reals are not private"):
        discriminator = _embedding(torch.randn(20, 2), 1.0)
    assert _spent(discriminator) == pytest.approx(1e30)


def _goes_on(folder, before, after):
    """The epsilon that a run of two discriminators, one after the other, has spent."""
    tiny_fit(folder, LastCheckpoint(), discriminator=before, trainer={"max_steps": 2})
    path = folder / "checkpoints" / "last.ckpt"
    changed = ChangedSettings({"discriminator"})
    tiny_fit(folder, changed, ckpt_path=path, discriminator=after, trainer={"max_steps": 3})
    return _spent(after)


def _private(epsilon):
    return PrivateMeanEmbedding(MLP(1), epsilon, 1e-5, width=8)


def test_releases_of_a_run_that_goes_on_with_another_discriminator_add_up(tmp_path):
    inverse = gaussian_sigma(10.0, 1e-5) ** -2 + gaussian_sigma(5.0, 1e-5) ** -2
    wanted = gaussian_epsilon(inverse**-0.5, 1e-5)
    with pytest.warns(UserWarning, match=rf"had spent epsilon = 10; together it is {wanted:.4g}"):
        found = _goes_on(tmp_path, _private(10.0), _private(5.0))
    assert found == pytest.approx(wanted, rel=1e-6)
    assert 10 < wanted < 15


def test_nothing_is_private_after_a_discriminator_that_saw_the_reals(tmp_path):
    with pytest.warns(UserWarning, match="before it was not private"):
        assert _goes_on(tmp_path, NTKDiscriminator(RBF(0.5), IPM()), _private(5.0)) == pytest.approx(1e30)


def test_bad_numbers_are_refused():
    with pytest.raises(ConfigError, match="'epsilon' must be positive"):
        gaussian_sigma(-1.0, 1e-5)
    with pytest.raises(ConfigError, match="'delta' must lie between"):
        gaussian_sigma(1.0, 0.0)
