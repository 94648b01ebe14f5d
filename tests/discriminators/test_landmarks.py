"""Landmarks in the place of the batch: exact with all of them, better with more, and an error that is what it says."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.discriminators.landmarks import LOOKS, Landmarks
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF, Polyharmonic
from lightning_gantk.kernels.dynamics import piecewise
from lightning_gantk.kernels.dynamics.landmarks import factor
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla

_N = 24  # fakes, and reals
_STEEPEST = {IPM: 1.0, LSGAN: 4.0, Vanilla: 1.0, Hinge: 1.0}  # slopes where scores lie between -1 and 1


def _batch(count=_N, dimension=6):
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, count, dimension, dtype=torch.float64, generator=generator)
    return real, 0.7 * fake + 0.5


def _fitted(loss, time, features, *batch, seed=0, kernel=None, **options):
    torch.manual_seed(seed)
    discriminator = NTKDiscriminator(
        kernel or RBF(gamma=0.5), loss, time, dtype="float64", features=features, check_every=0, **options
    )
    discriminator.fit(*batch)
    return discriminator


def _slope(discriminator, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x)[0]


def _tolerance(exact, size, count, time):
    """Of scores at the ``count`` fakes, with all points in the span of the landmarks.

    ``|K - K_R|`` is at most the jitter e, and flows of concave functions bring solutions together, so scores at the
    points differ by no more than ``e sqrt(n) sqrt(2 / n) integral |w'|``, |w'| <= steepest sqrt(2 / n); besides what
    two solvers leave, 1e-9 of sum |k w| each, k <= 1, and the rounding of a linear system, R^2 eps |alpha|.
    """
    response = _jitter(count) * time * _STEEPEST[type(exact.loss)] * 2 / math.sqrt(count)
    dual = float(abs(np.asarray(exact._trained.weights)).sum())
    return response + 2e-9 * dual + (2 * count) ** 2 * 2.0**-52 * size


def _jitter(count):
    from lightning_gantk.kernels.dynamics import piecewise

    return piecewise.ridge("float64", 2 * count)


@pytest.mark.parametrize(
    ("loss", "time"),
    [
        (IPM(), 1.0),
        (Hinge(), 5.0),
        # Each compiles a solver, which takes seconds.
        pytest.param(LSGAN(), 5.0, marks=pytest.mark.slow),
        pytest.param(Vanilla(), 5.0, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_with_all_points_it_is_exact_to_rounding(loss, time):
    """By the solvers themselves: with as many features the discriminator would not take landmarks at all."""
    import jax

    real, fake = _batch()
    exact = _fitted(loss, time, None, real, fake)
    ours = _fitted(loss, time, 2 * _N - 1, real, fake)
    with jax.enable_x64(True):
        batch = ours._cross(real, "real"), ours._cross(fake, "fake")
        every = np.arange(_N), np.arange(_N)
        trained, error = ours._on_landmarks.fit(*batch, (_N, _N), None, every, Landmarks.looks(_N))
        scores, alpha = (np.array(part) for part in (ours._compiled.scores(trained, batch[1]), trained.weights))
    size = abs(alpha).sum()
    assert abs(scores - exact(fake).numpy()).max() <= _tolerance(exact, size, _N, time)
    # Of gradients, at any place: e grad phi . Phi' (Phi Phi' + e)^-1 w, of which the right half is no longer than
    # |w| / (2 sqrt e), and |grad phi|^2 = sum_a d_a d'_a k = 1 for this kernel.
    length, weights = float(_slope(exact, fake).norm()), np.linalg.norm(np.asarray(exact._trained.weights))
    rounding = LOOKS * 2 * _N * 2.0**-52 * size
    assert float(error) * length <= math.sqrt(LOOKS * _jitter(_N)) / 2 * weights + rounding


def test_as_many_features_as_samples_are_no_landmarks():
    real, fake = _batch()
    exact, ours = (_fitted(LSGAN(), 5.0, features, real, fake) for features in (None, 2 * _N))
    assert torch.equal(exact(fake), ours(fake)) and torch.equal(_slope(exact, fake), _slope(ours, fake))
    assert ours.landmarks.error == 0


@pytest.mark.slow
@pytest.mark.parametrize("loss", [IPM(), LSGAN()], ids=repr)
def test_more_landmarks_are_better_and_the_error_is_the_one_said(loss):
    real, fake = _batch(count=LOOKS)  # all of them are looked at
    wanted = _slope(_fitted(loss, 1.0, None, real, fake), fake)
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for features in (4, 16, 30):
            ours = _fitted(loss, 1.0, features, real, fake)
            errors.append(float((_slope(ours, fake) - wanted).norm() / wanted.norm()))
            # With constant slopes the weights are those of the exact flow, and nothing but rounding is between them.
            # Where scores respond, the response is at most as large as what causes it, of either sign.
            if isinstance(loss, IPM):
                assert ours.landmarks.error == pytest.approx(errors[-1], rel=1e-6)
            else:
                assert 0.5 <= ours.landmarks.error / errors[-1] <= 2
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0  # 16 of 32 see much of a smooth kernel, 30 nearly all


def test_fits_are_repeated_by_torchs_generator_alone():
    real, fake = _batch()
    first = _fitted(IPM(), 1.0, 12, real, fake)
    state, before = torch.get_rng_state(), first(fake)
    first.fit(real, fake)
    second = first(fake)
    assert not torch.equal(before, second)  # other landmarks
    torch.set_rng_state(state)
    first.fit(real, fake)
    assert torch.equal(first(fake), second)


def test_landmarks_are_of_both_and_in_their_shares():
    fakes, reals = Landmarks(30).draw(200, 100)
    assert (len(fakes), len(reals)) == (20, 10) and len(set(fakes)) == 20
    assert [len(part) for part in Landmarks(2).draw(1000, 1)] == [1, 1]
    assert [len(part) for part in Landmarks(9).draw(5, 5)] == [4, 5]
    assert [len(part) for part in Landmarks(99).draw(1, 99)] == [1, 98]
    assert Landmarks(10).draw(5, 5) is None


def test_too_few_are_said_once_and_logged():
    real, fake = _batch()
    discriminator = _fitted(IPM(), 1.0, 2, real, fake)
    with pytest.warns(
        UserWarning, match=r"2 features do not resolve this batch: gradients are wrong by \d+% of themselves"
    ):
        logged = discriminator.statistics(discriminator(real), discriminator(fake))["landmark_error"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(logged) == pytest.approx(discriminator.landmarks.error) and float(logged) > 0.1


@pytest.mark.slow
def test_equal_samples_do_no_harm():
    real, fake = (part.repeat(2, 1) for part in _batch())
    exact, ours = (_fitted(LSGAN(), 1.0, features, real, fake) for features in (None, 4 * _N - 2))
    size = abs(np.asarray(ours._trained.weights)).sum()
    # One fake and one real are no landmarks, but their twins are: the span is whole.
    assert (ours(fake) - exact(fake)).abs().max() <= _tolerance(exact, size, 2 * _N, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 1}, "'features' must be a whole number of at least 2"),
        ({"features": 2.5}, "'features' must be a whole number"),
        ({"keep": True}, "leave out 'keep' and 'gradient_penalty'"),
        ({"loss": LSGAN(), "solution": "ridge", "ridge": 0.1}, "leave out 'features', or take IPM"),
        ({"kernel": Polyharmonic(order=1.0)}, "'features' need a positive definite kernel"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    options = {"kernel": RBF(), "loss": IPM(), "features": 8, **options}
    with pytest.raises(ConfigError, match=message) as refused:
        NTKDiscriminator(**options)
    assert "\n" not in str(refused.value)


def test_a_matrix_that_is_too_large_is_refused(monkeypatch):
    from lightning_gantk.kernels.dynamics import gradient_flow

    monkeypatch.setattr(gradient_flow, "GRAM_BUDGET", 8 * 2 * _N * 10)
    with pytest.raises(ConfigError, match=r"12 features of 48 samples make a matrix of .* GiB"):
        _fitted(LSGAN(), 1.0, 12, *_batch())
    _fitted(IPM(), 1.0, 12, *_batch())  # which has none


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"inertia": 0.5}, {"decay": 0.3}], ids=str)
def test_other_flows_take_landmarks_too(options):
    real, fake = _batch()
    exact, ours = (_fitted(LSGAN(), 2.0, f, real, fake, kernel=MLP(1).kernel("ntk"), **options) for f in (None, 40))
    assert _slope(exact, fake).sub(_slope(ours, fake)).norm() <= 2 * ours.landmarks.error * _slope(exact, fake).norm()


def test_jitter_grows_until_there_is_a_factor():
    """Of a matrix with an eigenvalue of -30 times the first jitter, which two more powers of 10 make positive."""
    with jax.enable_x64(True):
        jitter = piecewise.ridge("float64", 5)
        direction = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0][:, 0]
        matrix = np.eye(5) - (1 + 30 * jitter) * np.outer(direction, direction)
        lower = np.asarray(factor(jnp.asarray(matrix)))
    mean = np.trace(matrix) / 5
    # jitter is far above the rounding of numbers of the size of 1
    np.testing.assert_allclose(lower @ lower.T - matrix, 100 * jitter * mean * np.eye(5), atol=16 * 2**-52)
