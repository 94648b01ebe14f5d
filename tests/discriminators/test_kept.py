"""A discriminator that is kept: runs of Becker et al., every loss against the flow by hand, and what is forgotten."""

import math

import pytest
import torch
from flows_by_hand import kept_scores

from lightning_gantk.discriminators import InitialFunction, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Vanilla

_UNIT = RBF(gamma=0.5)  # exp(-(x - y)^2 / 2) in one dimension


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def _kept(loss=None, **options):
    options = {"time": 1.0, "dtype": "float64", "check_every": 0, "keep": True, **options}
    return NTKDiscriminator(_UNIT, loss or IPM(), **options)


def _euler_time(step, decay):
    """Of the exact flow that makes the same move as an Euler step."""
    return -math.log(1 - step * decay) / decay


def _slope(discriminator, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x)[0]


@pytest.mark.parametrize(
    ("decay", "wanted"),
    [
        (1.0, {1: 0.099900, 10: 0.095917, 100: 0.036946}),
        (0.1, {1: 0.099900, 10: 0.094734, 100: -0.059844}),
        (0.01, {1: 0.099900, 10: 0.094591, 100: -0.093490}),
    ],
)
def test_alternating_steps_are_those_of_becker(decay, wanted):
    """A fake at 0.1 beside a real at 0: steps 0.1 and 0.01; and each step is that of the sum over all past fakes."""
    discriminator = _kept(time=_euler_time(0.1, decay), decay=decay, forget=1e-9)
    x, past = _column(0.1), []
    for step in range(1, 101):
        discriminator.fit(_column(0.0), x)
        past.append(float(x))
        ages = [(1 - 0.1 * decay) ** (len(past) - 1 - s) for s in range(len(past))]
        at = float(x)
        by_hand = 0.1 * sum(
            age * (at * math.exp(-(at**2) / 2) - (at - p) * math.exp(-((at - p) ** 2) / 2))
            for age, p in zip(ages, past, strict=True)
        )
        slope = float(_slope(discriminator, x))
        assert slope == pytest.approx(by_hand, abs=1e-12)
        x = x - 0.01 * slope
        if step in wanted:
            assert float(x) == pytest.approx(wanted[step], abs=1e-6)


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla()], ids=repr)
@pytest.mark.parametrize("decay", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_kept_flow_is_the_flow_by_hand(loss, decay):
    stream = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(4, 1, generator=stream).double() + 1, torch.randn(3, 1, generator=stream).double())
        for _ in range(3)
    ]
    x, discriminator = torch.randn(4, 1).double(), _kept(loss, time=1.5, decay=decay)
    assert not discriminator(x).any()
    for real, fake in batches:
        discriminator.fit(real, fake)
    wanted = kept_scores(discriminator, loss, batches, x, 1.5, decay)
    torch.testing.assert_close(discriminator(x), wanted, rtol=1e-6, atol=1e-7)  # some hundred steps of 1e-9


def test_decay_alone_is_a_flow_from_zero():
    discriminator = _kept(LSGAN(), keep=False, decay=0.5)
    real, fake, x = _column(0.0, 1.0), _column(-1.0), _column(0.3)
    for _ in range(2):
        discriminator.fit(real, fake)
    torch.testing.assert_close(discriminator(x), kept_scores(discriminator, LSGAN(), [(real, fake)], x, 1.0, 0.5))


def test_equal_reals_add_up_and_old_fakes_are_forgotten():
    discriminator = _kept(decay=1.0, forget=0.1)  # e^-1 a fit: the third one has all but erased the first
    for step in range(6):
        discriminator.fit(_column(0.0, 1.0), _column(0.1 * step, 2.0))
    points, weights = discriminator.kept.expansion(torch.device("cpu"))
    assert len(points) == 8  # 2 reals and 3 times 2 fakes
    reals = 1 - math.exp(-6)  # the weight of all six fits, of which none was lost
    assert float(weights[-1]) == pytest.approx(-reals / 2)
    discriminator.reset()
    assert not discriminator(_column(0.5)).any()


def test_state_that_is_loaded_goes_on_to_the_bit():
    first, second = (_kept(LSGAN(), decay=0.2) for _ in range(2))
    for seed in range(4):
        torch.manual_seed(seed)
        first.fit(torch.randn(4, 1), torch.randn(3, 1))
    second.build((1,))
    second.load_state_dict(first.state_dict())
    x = torch.randn(5, 1)
    assert torch.equal(second(x), first(x))
    for one in (first, second):
        torch.manual_seed(9)
        one.fit(torch.randn(4, 1), torch.randn(3, 1))
    assert torch.equal(second(x), first(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": -0.1}, "'decay' must be a number of at least 0, got -0.1"),
        ({"forget": 0.0}, "'forget' must be above 0"),
        ({"inertia": 0.1}, "A heavy ball starts from rest"),
        ({"initial": InitialFunction(torch.nn.Linear(1, 1))}, "starts from f = 0"),
        ({"solution": "ridge", "ridge": 1.0}, "has no past"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        _kept(**options)
