"""Exact flows of piecewise linear losses: by hand, against a stiff integration of a ramp, and where it is awkward."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lightning_gantk.architectures import MLP
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF
from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow
from lightning_gantk.kernels.dynamics.piecewise import KeptGram, Staircase, solve
from lightning_gantk.losses import AdversarialLoss, Hinge

INFINITY = np.inf
HINGE = (
    Staircase(np.array([-INFINITY, -1, INFINITY]), np.array([0.0, -1.0])),
    Staircase(np.array([-INFINITY, 1, INFINITY]), np.array([1.0, 0.0])),
)


class Absolute(AdversarialLoss):
    """|s +- 1| and a kink at 0, where every score starts."""

    slopes = "piecewise"
    kinks = (1.0, 0.0, -1.0)

    def a(self, scores):
        return -abs(scores + 1) - abs(scores)

    def b(self, scores):
        return abs(scores - 1) + 0.5 * abs(scores)

    def c(self, scores):
        return -scores


def _matrix(n, m, dimensions, *, kernel, dtype="float64", shift=0.5):
    points = np.random.default_rng(0).standard_normal((n + m, dimensions))
    points[n:] += shift
    compiled = CompiledDiscriminator(kernel, GradientFlow(Hinge(), 1.0, 1e-9), dtype)
    with compiled.precision():
        return np.asarray(kernel(jnp.asarray(points, dtype), jnp.asarray(points, dtype))).copy()


def _mass(n, m):
    return np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])


def _by_ramp(matrix, mass, stairs, n, start, time, ramp=1e-4):
    """Scores by Radau's method with every jump of a slope spread over a ramp: what they are off by goes with it."""
    size = len(mass)
    staircase = [stairs[0]] * n + [stairs[1]] * (size - n)
    kinks = np.array([s.edges[1:-1] for s in staircase])
    jumps = np.array([np.diff(s.levels) for s in staircase])
    first = np.array([s.levels[0] for s in staircase])

    def slope(f):
        return first + (jumps * np.clip((f[:, None] - kinks) / ramp + 0.5, 0, 1)).sum(1)

    def steepness(f):
        return (jumps * (np.abs(f[:, None] - kinks) < ramp / 2)).sum(1) / ramp

    found = solve_ivp(
        lambda t, u: slope(start + matrix @ (mass * u)),
        (0, time),
        np.zeros(size),
        method="Radau",
        jac=lambda t, u: steepness(start + matrix @ (mass * u))[:, None] * matrix * mass,
        rtol=1e-9,
        atol=1e-12 * time,
    )
    assert found.success
    return start + matrix @ (mass * found.y[:, -1])


@pytest.mark.parametrize("time", [3.0, 30.0, 3e3])
@pytest.mark.parametrize("kernel", [MLP(2).kernel(), RBF(1.0)], ids=["mlp", "rbf"])
def test_scores_are_those_of_a_steep_ramp(kernel, time):
    n, m = 7, 9
    matrix, mass, zero = _matrix(n, m, 2, kernel=kernel), _mass(7, 9), np.zeros(16)
    found = solve(KeptGram(matrix), mass, HINGE, n, zero, time)
    assert found.reached and found.drift < 1e-12
    scores = matrix @ found.weights
    # A sample at rest stands up to a ramp of 1e-4 from its kink, and the others follow: at most by the sum of what the
    # kernel's interpolation from those at rest makes of it.
    resting = np.abs(np.abs(scores) - 1) < 1e-9
    follow = matrix[:, resting] @ np.linalg.pinv(matrix[np.ix_(resting, resting)])
    allowed = 1e-4 * max(1.0, np.abs(follow).sum(1).max())
    np.testing.assert_allclose(scores, _by_ramp(matrix, mass, HINGE, n, zero, time), rtol=0, atol=allowed)


@pytest.mark.slow
def test_a_start_on_the_kink_and_three_levels_agree_with_a_steep_ramp():
    n, m = 5, 6
    matrix, mass = _matrix(n, m, 2, kernel=MLP(1).kernel()), _mass(5, 6)
    stairs = GradientFlow(Absolute(), 1.0, 1e-9)._stairs()
    for time in (0.5, 5.0, 50.0):
        start = np.where(np.arange(11) % 2, 0.0, 0.3)
        found = solve(KeptGram(matrix), mass, stairs, n, start, time)
        assert found.reached
        expected = _by_ramp(matrix, mass, stairs, n, start, time)
        np.testing.assert_allclose(start + matrix @ found.weights, expected, atol=1e-4)


def test_one_sample_each_by_hand():
    """K = [[2, 1], [1, 2]]: f moves at -1 and 1, both come to their kinks at t = 1, and cross them."""
    found = solve(KeptGram(np.array([[2.0, 1.0], [1.0, 2.0]])), np.ones(2), HINGE, 1, np.zeros(2), 5.0)
    np.testing.assert_allclose(found.weights, [-1, 1], rtol=1e-11)


def test_a_sample_rests_by_hand():
    """A real at a fake's place with half its kernel: it is pushed back, and rests where the fake's push allows.

    K = [[1, 1], [1, 2]], fake and real: speeds 0 and 1 until the real comes to 1 at t = 1. There the fake pushes it
    back at 1, a slope of 1/2 holds it, and the fake goes on at -1/2 until it comes to -1 at t = 3 and stays.
    """
    matrix = np.array([[1.0, 1.0], [1.0, 2.0]])
    for time, scores, weights in ((2.0, [-0.5, 1], [-2, 1.5]), (4.0, [-1, 1], [-3, 2])):
        found = solve(KeptGram(matrix), np.ones(2), HINGE, 1, np.zeros(2), time)
        np.testing.assert_allclose(found.weights, weights, rtol=1e-10)
        np.testing.assert_allclose(matrix @ found.weights, scores, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("time", [10.0, 3e3])
def test_equal_samples_move_as_one_of_their_mass(dtype, time):
    matrix = _matrix(4, 5, 2, kernel=MLP(2).kernel(), dtype=dtype)
    twice = np.array([0, 0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8])
    mass = np.concatenate([np.full(5, 1 / 5), np.full(7, 1 / 7)])
    joined = np.bincount(twice, mass)
    single = solve(KeptGram(matrix), joined, HINGE, 4, np.zeros(9), time)
    double = solve(KeptGram(matrix[np.ix_(twice, twice)]), mass, HINGE, 5, np.zeros(12), time)
    assert single.reached and double.reached
    # The ridge, 2.4e-7 sqrt(P) of the diagonal in float32, moves scores by so much of their largest sum |k w|.
    size = (np.abs(matrix) @ np.abs(single.weights)).max()
    weights = np.bincount(twice, double.weights)
    limit = 1e-5 if dtype == "float32" else 1e-10
    assert np.abs(matrix @ (weights - single.weights)).max() <= limit * size


def test_filling_and_samples_without_a_kernel_stand_still():
    matrix = _matrix(6, 6, 3, kernel=MLP(1, b_std=None).kernel())
    plain = solve(KeptGram(matrix), _mass(6, 6), HINGE, 6, np.zeros(12), 40.0)
    larger = np.pad(matrix, ((0, 3), (0, 3)))
    larger[12:14] = larger[[0, 0]]
    larger[:, 12:14] = larger[:, [0, 0]]
    filled = solve(KeptGram(larger), np.concatenate([_mass(6, 6), np.zeros(3)]), HINGE, 6, np.zeros(15), 40.0)
    np.testing.assert_allclose(filled.weights[:12], plain.weights, atol=1e-10)
    assert (filled.weights[12:] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("time", [3e3, 1e4])
def test_thousands_of_samples_take_a_few_events_each(time):
    """Work is counted, not seconds: an event is a product with the rows of those at rest."""
    n, labels = 1024, np.repeat([-1.0, 1.0], 1024)
    matrix = _matrix(n, n, 50, kernel=MLP(3).kernel(), dtype="float32")
    found = solve(KeptGram(matrix), _mass(n, n), HINGE, n, np.zeros(2 * n), time)
    assert found.reached and found.drift < 1e-11
    assert found.events < 10 * 2 * n  # each comes to its kink once at least; some rest, leave and come again
    # A gradient flow of a concave objective from 0 is within |f|^2 / (2 t) of any f's value. Take the f through all
    # labels: it has no loss, and the squared norm y K^-1 y.
    matrix = matrix.astype(float)
    loss = np.maximum(0, 1 - labels * (matrix @ found.weights))
    assert loss[:n].mean() + loss[n:].mean() <= labels @ np.linalg.solve(matrix, labels) / (2 * time)


def test_numbers_that_are_none_are_not_followed():
    assert not solve(KeptGram(np.full((2, 2), np.nan)), np.ones(2), HINGE, 1, np.zeros(2), 1.0).reached


def test_slopes_that_go_up_are_refused():
    class Convex(Absolute):
        def a(self, scores):
            return abs(scores)

    with pytest.raises(ConfigError, match="go up somewhere"):
        GradientFlow(Convex(), 1.0, 1e-9)._stairs()
