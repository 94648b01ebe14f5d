"""A non-zero f_0, the same in both regimes, and the real half of IPM."""

import math

import pytest
import torch
from torch import nn

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, InitialFunction, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, ExternalIPM, Hinge, Vanilla


class Bowl(nn.Module):
    """|x|^2 / 4: an f_0 with known values and gradients."""

    def forward(self, x):
        return (x**2).sum(1) / 4


def _samples():
    stream = torch.Generator().manual_seed(0)
    return (torch.randn(n, 2, generator=stream, dtype=torch.float64) + shift for n, shift in ((9, 1), (9, -1), (5, 0)))


def test_an_initial_function_is_fixed_by_its_seed_alone():
    x = torch.randn(4, 2)
    state = torch.get_rng_state()
    first, again, other = (InitialFunction(MLP(2), width=16, seed=seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(InitialFunction(MLP(2), width=16, scale=3.0)(x), 3 * first)


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()])
def test_both_regimes_start_from_it(loss):
    real, fake, x = (part.float() for part in _samples())
    finite = FiniteDiscriminator(MLP(1), loss, width=8, time=1e-12, initial=InitialFunction(Bowl()))
    infinite = NTKDiscriminator(MLP(1), loss, time=0.0, initial=InitialFunction(Bowl()))
    for discriminator in (finite, infinite):
        discriminator.fit(real, fake)
        probe = x.clone().requires_grad_()
        scores = discriminator(probe)
        torch.testing.assert_close(scores.detach(), Bowl()(x))
        scores.sum().backward()
        torch.testing.assert_close(probe.grad, x / 2)


@pytest.mark.parametrize("decay", [0.0, 0.8])
@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()])
def test_training_from_it_solves_the_flow(loss, decay):
    """Against small Euler steps of the dual weights, written out in torch; decay takes off f_0 too."""
    real, fake, x = _samples()
    given = {"dtype": "float64", "decay": decay, "initial": InitialFunction(Bowl())}
    discriminator = NTKDiscriminator(RBF(0.5), loss, 0.5, **given)
    discriminator.fit(real, fake)
    points = torch.cat([fake, real])
    k = torch.exp(-0.5 / 2 * torch.cdist(points, points) ** 2)
    steps, w = 2_000, torch.zeros(len(points), dtype=torch.float64)
    for step in range(steps):
        f = (Bowl()(points) * math.exp(-decay * 0.5 * step / steps) + k @ w).requires_grad_()
        (slope,) = torch.autograd.grad(loss.discriminator(f[len(fake) :], f[: len(fake)]), f)
        w = w + 0.5 / steps * (slope - decay * w)
    expected = Bowl()(x) * math.exp(-decay * 0.5) + torch.exp(-0.5 / 2 * torch.cdist(x, points) ** 2) @ w
    torch.testing.assert_close(discriminator(x), expected, rtol=0, atol=2e-3)  # Euler: first order in 1 / steps


def test_it_is_never_trained_and_goes_into_checkpoints():
    discriminator = FiniteDiscriminator(MLP(1), IPM(), width=8, steps=3, initial=InitialFunction(MLP(1), width=4))
    discriminator.build((2,))
    before = {name: value.clone() for name, value in discriminator.initial.state_dict().items()}
    discriminator.fit(torch.randn(5, 2), torch.randn(5, 2))
    assert all(torch.equal(value, before[name]) for name, value in discriminator.initial.state_dict().items())
    assert any(name.startswith("initial.") for name in discriminator.state_dict())
    assert not any(parameter.requires_grad for parameter in discriminator.initial.parameters())


def test_a_given_module_is_copied():
    given = nn.Linear(2, 1)
    initial = InitialFunction(given)
    initial.build((2,))
    assert given.weight.requires_grad and initial.network is not given
    x = torch.randn(3, 2)
    torch.testing.assert_close(initial(x), given(x).detach().view(-1))


def test_what_gives_no_scores_is_refused():
    with pytest.raises(ConfigError, match="one score per sample"):
        InitialFunction(nn.Linear(2, 3))(torch.randn(4, 2))
    with pytest.raises(ConfigError, match="must be an Architecture or a torch module"):
        InitialFunction("relu")


def test_external_ipm_is_the_real_half_of_the_witness():
    real, fake, x = _samples()
    discriminator = NTKDiscriminator(RBF(0.5), ExternalIPM(), time=2.0, dtype="float64")
    discriminator.fit(real, fake)
    expected = -2.0 * torch.exp(-0.5 / 2 * torch.cdist(x, real) ** 2).mean(1)
    torch.testing.assert_close(discriminator(x), expected)
    assert "mmd" not in discriminator.statistics(discriminator(real), discriminator(fake))


def test_external_ipm_agrees_in_both_regimes():
    torch.manual_seed(0)
    real, fake, x = (part.float() for part in _samples())
    finite = FiniteDiscriminator(MLP(1), ExternalIPM(), width=4096, time=0.01)
    infinite = NTKDiscriminator(MLP(1), ExternalIPM(), time=0.01)
    for discriminator in (finite, infinite):
        discriminator.fit(real, fake)
    assert (finite(x) - infinite(x)).abs().max() < 10 / 4096**0.5 * infinite(x).abs().max()
