"""The heavy-ball flow: against its own definition, gradient steps with momentum, and its limits."""

import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Vanilla

losses = pytest.mark.parametrize("loss", [IPM(), LSGAN(), pytest.param(Vanilla(), marks=pytest.mark.slow)])


def _samples():
    stream = torch.Generator().manual_seed(0)
    return (torch.randn(n, 2, generator=stream, dtype=torch.float64) + shift for n, shift in ((9, 1), (8, -1), (5, 0)))


def _scores(loss, time, inertia):
    real, fake, x = _samples()
    discriminator = NTKDiscriminator(RBF(0.5), loss, time, dtype="float64", inertia=inertia)
    discriminator.fit(real, fake)
    return discriminator(x)


@losses
def test_steps_with_momentum_tend_to_the_flow(loss):
    """Gradient steps with momentum on the dual weights, at a small learning rate and the inertia that stands for it."""
    real, fake, x = _samples()
    points = torch.cat([fake, real])
    k = torch.exp(-0.5 / 2 * torch.cdist(points, points) ** 2)
    steps, momentum, time = 2_000, 0.99, 4.0
    rate = time * (1 - momentum) / steps
    w = speed = torch.zeros(len(points), dtype=torch.float64)
    for _ in range(steps):
        f = (k @ w).requires_grad_()
        (slope,) = torch.autograd.grad(loss.discriminator(f[len(fake) :], f[: len(fake)]), f)
        speed = momentum * speed + rate * slope
        w = w + speed
    expected = torch.exp(-0.5 / 2 * torch.cdist(x, points) ** 2) @ w
    inertia = rate * (1 + momentum) / 2 / (1 - momentum) ** 2
    assert inertia > 0.1  # far from gradient flow
    found = _scores(loss, time, inertia)
    assert (found - expected).abs().max() < 4e-3 * expected.abs().max()
    assert (found - _scores(loss, time, 0.0)).abs().max() > 1e-2 * expected.abs().max()


@losses
def test_a_light_ball_follows_the_gradient_flow(loss):
    # At a time far beyond the inertia the ball is behind by the inertia, to first order.
    flow, ball = _scores(loss, 0.5, 0.0), _scores(loss, 0.5, 1e-2)
    assert 0 < (flow - ball).abs().max() < 5e-2 * flow.abs().max()


def test_a_finite_network_with_momentum_agrees():
    torch.manual_seed(0)
    real, fake, x = (part.float() for part in _samples())
    momentum, steps, rate = 0.9, 200, 1e-4
    finite = FiniteDiscriminator(
        MLP(1),
        IPM(),
        width=2048,
        steps=steps,
        time=None,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=momentum),
    )
    inertia = rate * (1 + momentum) / 2 / (1 - momentum) ** 2
    infinite = NTKDiscriminator(MLP(1), IPM(), steps * rate / (1 - momentum), inertia=inertia)
    for discriminator in (finite, infinite):
        discriminator.fit(real, fake)
    assert (finite(x) - infinite(x)).abs().max() < 10 / 2048**0.5 * infinite(x).abs().max()


def test_negative_inertia_is_refused():
    with pytest.raises(ConfigError, match="'inertia' must be a number of at least 0"):
        NTKDiscriminator(RBF(0.5), IPM(), inertia=-1.0)
