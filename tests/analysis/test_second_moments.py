"""The second-moment model: eigenvalues, thresholds and runs of Becker et al."""

import pytest
import torch

from lightning_gantk.analysis import SecondMomentModel
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM


def test_eigenvalues_of_both_orders_of_steps():
    damped, ringing = SecondMomentModel(1.0, 1.0, 0.1, 0.01), SecondMomentModel(0.1, 1.0, 0.1, 0.01)
    assert sorted(damped.eigenvalues().real.tolist()) == pytest.approx([0.910127, 0.988873], abs=1e-6)
    assert sorted(damped.eigenvalues("simultaneous").real.tolist()) == pytest.approx([0.911270, 0.988730], abs=1e-6)
    for updates, real, imaginary in (("alternating", 0.9945, 0.031141), ("simultaneous", 0.995, 0.031225)):
        found = ringing.eigenvalues(updates)
        assert found.real.tolist() == pytest.approx([real] * 2, abs=1e-6)
        assert sorted(found.imag.tolist()) == pytest.approx([-imaginary, imaginary], abs=1e-6)
    assert damped.critical_decay == pytest.approx(0.632456, abs=1e-6)


@pytest.mark.parametrize(("ratio", "radius"), [(0.8, 1.000999), (0.95, 1.000250), (1.05, 0.999750), (1.2, 0.998999)])
def test_simultaneous_steps_need_decay_and_alternating_ones_do_not(ratio, radius):
    model = SecondMomentModel(ratio * 0.1, 1.0, 0.1, 0.1)
    assert float(model.eigenvalues("simultaneous").abs().max()) == pytest.approx(radius, abs=1e-6)
    assert model.is_stable("simultaneous") == (ratio > 1)
    assert model.is_stable()


def test_thresholds_scale_with_the_kernel_and_the_mass_of_the_fakes():
    """Simultaneous steps are stable where decay s^2 > Q h_g, which is 0.05 / 4 here."""
    of = {"scale": 2.0, "discriminator_step": 0.1, "generator_step": 0.1, "fake_mass": 0.5}
    assert [SecondMomentModel(x * 0.0125, **of).is_stable("simultaneous") for x in (0.9, 1.1)] == [False, True]
    small = of | {"discriminator_step": 4e-4, "generator_step": 1e-4}
    critical = SecondMomentModel(0.0, **small).critical_decay
    assert critical == pytest.approx(2 / 2 * (0.5 / 4) ** 0.5)
    for share, rings in ((0.99, True), (1.01, False)):
        found = SecondMomentModel(share * critical, **small).eigenvalues()
        assert bool(found.imag.abs().max() > 0) == rings
    radius = SecondMomentModel(1.0, **of, mass_gap=-0.25).split_radius
    assert radius == pytest.approx(2 * 0.679778, abs=2e-6)  # as many times as s is, for the same Q / p


@pytest.mark.parametrize(("decay", "wanted"), [(1.0, 0.036576), (0.1, -0.059780)])
def test_run_of_one_fake(decay, wanted):
    model = SecondMomentModel(decay, 1.0, 0.1, 0.01)
    state = model.start(torch.tensor([0.1]))
    for _ in range(100):
        state = model.step(state)
    assert float(state.mean) == pytest.approx(wanted, abs=1e-6)


def test_a_mass_gap_pulls_fakes_together_and_its_absence_does_so_slowly():
    ends = []
    for gap in (0.5, 0.0):
        model = SecondMomentModel(1.0, 1.0, 0.1, 0.1, mass_gap=gap)
        state = model.start(torch.zeros(2), torch.diag(torch.tensor([0.1, 0.2])))
        for _ in range(200):
            state = model.step(state)
        ends.append(float(torch.linalg.eigvalsh(state.covariance).max()))
    assert ends[0] < 1e-5 < 1e-3 < ends[1] < 0.2


def test_split_radius_of_two_fakes():
    assert SecondMomentModel(1.0, 1.0, 0.1, 0.1, mass_gap=-0.5).split_radius == pytest.approx(0.679778, abs=1e-6)
    assert SecondMomentModel(1.0, 1.0, 0.1, 0.1, mass_gap=-0.2).split_radius == pytest.approx(0.385697, abs=1e-6)
    assert SecondMomentModel(1.0, 1.0, 0.1, 0.1, mass_gap=0.2).split_radius == 0


def test_split_fakes_beside_one_of_two_reals_are_a_minimum_that_misses_the_other():
    """Reals at -3 and 3, both fakes beside 3: no gradient reaches them, and MMD^2 has positive curvature."""
    pytest.importorskip("jax")
    real = torch.tensor([[-3.0], [3.0]], dtype=torch.float64)
    discriminator = NTKDiscriminator(RBF(gamma=0.5), IPM(), dtype="float64", check_every=0)

    def slope(at):
        """Of MMD^2, twice that of the mean score with f held fixed."""
        x = at.clone().requires_grad_()
        discriminator.fit(real, at)
        return 2 * torch.autograd.grad(discriminator(x).mean(), x)[0][:, 0]

    radius, step = SecondMomentModel(1.0, 1.0, 0.1, 0.1, mass_gap=-0.5).split_radius, 1e-5
    fake = torch.tensor([[3 - radius], [3 + radius]], dtype=torch.float64)
    # The other real, d = 5.32 away from the nearer fake, pulls with d e^(-d^2 / 2) / 2 = 1.9e-6.
    assert float(slope(fake).abs().max()) < 2.5e-6
    assert float((discriminator(fake).mean() - discriminator(real).mean()).detach()) == pytest.approx(
        0.404724, abs=1e-6
    )
    moves = step * torch.eye(2, dtype=torch.float64)[:, :, None]
    curvature = torch.stack([slope(fake + move) - slope(fake - move) for move in moves]) / (2 * step)
    assert torch.linalg.eigvalsh(curvature).tolist() == pytest.approx([0.213462, 0.550146], abs=1e-5)


def test_bad_numbers_are_refused():
    with pytest.raises(ConfigError, match="'decay' must be a number of at least 0"):
        SecondMomentModel(-1.0, 1.0, 0.1, 0.1)
    with pytest.raises(ConfigError, match="'scale' must be positive"):
        SecondMomentModel(1.0, 0.0, 0.1, 0.1)


def test_steps_are_those_of_the_kernel_to_second_order():
    """f is that of an RBF kernel with reals at 0, and every fake moves along its slope and curvature there."""
    model = SecondMomentModel(0.0, 2.0, 0.1, 0.2, mass_gap=0.5, fake_mass=0.8)
    x = 0.05 * torch.tensor([[1.0, 0.2], [-0.3, 0.9], [0.4, -0.5]], dtype=torch.float64)
    start = model.start(x.mean(0), torch.cov(x.T, correction=0))

    def witness(z):
        of_fakes, of_reals = (torch.exp(-model.nu / 2 * ((z - y) ** 2).sum(-1)) for y in (x, torch.zeros(1, 2)))
        return 0.1 * (0.8 * of_fakes.mean() - 1.3 * of_reals.mean())

    first = model.step(start, "simultaneous")
    exact = torch.autograd.functional.hessian(witness, torch.zeros(2, dtype=torch.float64))
    # The next Taylor terms of a fake's second derivatives: nu^3 |x|^4 (1/2 + 1/8), times h_d Q
    lacking = 0.625 * 0.1 * 0.8 * model.nu**3 * float(x.norm(dim=1).max()) ** 4
    torch.testing.assert_close(first.curvature, exact, rtol=0, atol=lacking)
    assert torch.equal(first.mean, start.mean) and torch.equal(first.covariance, start.covariance)
    second = model.step(first, "simultaneous")
    moved = x + 0.2 * (first.slope - x @ first.curvature)
    torch.testing.assert_close(second.mean, moved.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(second.covariance, torch.cov(moved.T, correction=0), rtol=1e-12, atol=1e-16)
