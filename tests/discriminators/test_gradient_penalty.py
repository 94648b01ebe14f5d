"""The gradient penalty where it has a closed form."""

import pytest
import torch

from lightning_gantk.discriminators.gradient_penalty import GradientPenalty
from lightning_gantk.errors import ConfigError

_REAL, _FAKE = torch.tensor([[2.0, 0.0]] * 3), torch.tensor([[4.0, 0.0]] * 5)


def _parabola(x):
    """Its gradient is x."""
    return x.square().sum(dim=1) / 2


@pytest.mark.parametrize(("at", "places"), [("real", [_REAL]), ("fake", [_FAKE]), ("both", [_REAL, _FAKE])])
def test_penalty_is_the_mean_square_of_what_the_gradient_is_longer(at, places):
    penalty = GradientPenalty(1.0, 0.5, at)
    found = penalty(_parabola, penalty.places(_REAL, _FAKE))
    torch.testing.assert_close(found, (torch.cat(places)[:, 0] - 0.5).square().mean())


def test_places_between_lie_between_pairs():
    places = GradientPenalty(1.0, 1.0, "between").places(_REAL, _FAKE)
    assert places.shape == (3, 2)
    assert ((places[:, 0] > 2) & (places[:, 0] < 4)).all() and len(set(places[:, 0].tolist())) == 3


def test_places_between_are_anywhere_between():
    torch.manual_seed(0)
    ends = torch.tensor([[2.0, 0.0]]).expand(1000, 2), torch.tensor([[4.0, 0.0]]).expand(1000, 2)
    places = GradientPenalty(1.0, 1.0, "between").places(*ends)[:, 0]
    assert 2 < float(places.min()) < 2.02 and 3.98 < float(places.max()) < 4
    assert float(places.mean()) == pytest.approx(3, abs=5 * 2 / 12**0.5 / 1000**0.5)
    given = GradientPenalty(1.0, 1.0, "between").places(_REAL, _FAKE, torch.tensor([0.0, 0.25, 1.0]))
    assert given[:, 0].tolist() == [4.0, 3.5, 2.0]  # the share is the real sample's


def test_its_gradient_reaches_the_network():
    slope = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = GradientPenalty(1.0, 1.0, "real")
    penalty(lambda x: x @ slope, _REAL).backward()  # (|s| - 1)^2, whose gradient is 2 (|s| - 1) s / |s|
    torch.testing.assert_close(slope.grad, 2 * (5 - 1) * slope.detach() / 5)


def test_conditions_are_not_penalised():
    penalty = GradientPenalty(1.0, 0.0, "real")
    found = penalty(lambda x: x @ torch.tensor([3.0, 100.0]), _REAL, conditions=1)
    torch.testing.assert_close(found, torch.tensor(9.0))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((-1.0, 1.0, "real"), "'gradient_penalty' must be a number of at least 0, got -1"),
        ((1.0, float("nan"), "real"), "'penalty_center' must be a number of at least 0, got nan"),
        ((1.0, 1.0, "beside"), "'penalty_at' must be one of between, real, fake, both, got 'beside'"),
    ],
)
def test_bad_values_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        GradientPenalty(*given)
