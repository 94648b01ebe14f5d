"""Which losses drive fakes the right way at every score, and how fast: the exact velocities of two Gaussians."""

import warnings

import numpy as np
import pytest
import torch

from lightning_gantk.analysis import is_monotone
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, LSGAN, ExternalIPM, FDivergence, Hinge, MonoFlow, Vanilla


def _velocity(loss, mu):
    """Of the mean of N(mu, 1) towards N(0, 1): the log ratio d(x) = mu^2/2 - mu x has the slope -mu, d ~ N(-mu^2/2,
    mu^2), and a fake moves by -c'(d) grad d.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    d = torch.tensor(mu * nodes - mu**2 / 2, requires_grad=True)
    (slope,) = torch.autograd.grad(loss.c(d).sum(), d)
    return float((slope.numpy() * weights).sum() / weights.sum()) * mu


@pytest.mark.parametrize(
    ("loss", "mu", "velocity"),
    [
        (MonoFlow("logit"), 1, -1.0),
        (MonoFlow("exp"), 1, -1.5 * np.exp(3 / 8)),
        (MonoFlow("ns"), 1, -0.602027),
        (MonoFlow("vanilla"), 1, -0.397973),
        (MonoFlow("vanilla", shift=5.0), 1, -0.982500),
        (MonoFlow("arcsinh"), 1, -0.762395),
        (MonoFlow("vanilla"), 2, -0.449600),
        (MonoFlow("vanilla", shift=5.0), 2, -1.740812),
        (MonoFlow("ns"), 2, -1.550400),
        (FDivergence("reverse_kl"), 1, -1.0),
        (FDivergence("kl"), 1, 1.5),
        (FDivergence("chi2"), 1, 2 * (np.e - 1)),
        (FDivergence("hellinger"), 1, 1 - np.exp(-1 / 8)),
        (FDivergence("js"), 1, 0.111421),
    ],
    ids=str,
)
def test_velocity_of_a_gaussian(loss, mu, velocity):
    # Six digits are stated. Quadrature with 120 nodes is exact to far more, but for the logistic functions' poles at
    # d = +-i pi.
    assert _velocity(loss, mu) == pytest.approx(velocity, abs=2e-6)


@pytest.mark.parametrize(
    ("loss", "monotone"),
    [
        *((MonoFlow(h), True) for h in ("logit", "ns", "vanilla", "arcsinh", "exp")),
        (MonoFlow("vanilla", shift=5.0, scale=0.5), True),
        pytest.param(MonoFlow(torch.sin), False, id="MonoFlow(sin)-False"),
        (FDivergence("reverse_kl"), True),
        *((FDivergence(name), False) for name in ("kl", "chi2", "hellinger", "js")),
        (IPM(), True),
        (ExternalIPM(), True),
        (Vanilla(), True),
        (Vanilla(saturating=True), True),
        (Hinge(), True),
        (LSGAN(), False),
    ],
    ids=str,
)
def test_is_monotone(loss, monotone):
    assert is_monotone(loss) is monotone


@pytest.mark.parametrize(("name", "turns"), [("kl", -1.0), ("chi2", 0.0), ("hellinger", 0.0), ("js", 0.0)])
def test_f_divergences_turn_where_they_say(name, turns):
    assert is_monotone(FDivergence(name), -10, turns - 1e-3)
    assert not is_monotone(FDivergence(name), -10, turns + 1e-3)


def test_what_stands_still_is_not_monotone():
    with pytest.warns(UserWarning, match="'h' of MonoFlow, relu, is not increasing"):
        assert not is_monotone(MonoFlow(torch.relu))


def test_ns_and_vanilla_share_the_logit():
    scores = torch.linspace(-20, 20, 101, dtype=torch.float64)
    together = MonoFlow("ns").c(scores) + MonoFlow("vanilla").c(scores)
    torch.testing.assert_close(together, MonoFlow("logit").c(scores), rtol=1e-14, atol=1e-14)


def test_vanilla_are_two_of_them():
    scores = torch.linspace(-20, 20, 101)
    assert torch.equal(MonoFlow("ns").c(scores), Vanilla().c(scores))
    assert torch.equal(MonoFlow("vanilla").c(scores), Vanilla(saturating=True).c(scores))


@pytest.mark.parametrize(("lo", "hi"), [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))])
def test_range_without_scores_is_refused(lo, hi):
    with pytest.raises(ConfigError, match="'lo' must be a number below 'hi'"):
        is_monotone(IPM(), lo, hi)


def test_monoflow_of_a_function_that_is_not_increasing_warns_once():
    with pytest.warns(UserWarning, match="'h' of MonoFlow, cos, is not increasing .*the wrong way") as told:
        MonoFlow(torch.cos)
    assert len(told) == 1


@pytest.mark.parametrize("h", ["logit", "exp", torch.arcsinh, lambda s: s.tanh(), lambda s: s.no_such_method()])
def test_monoflow_of_another_function_does_not_warn(h):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MonoFlow(h, shift=10.0, scale=5.0)  # at h's own places: tanh is flat in float64 from 20 on
