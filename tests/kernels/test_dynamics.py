"""Dual weights of every kind of loss: against other solvers, at long times, with and without a kept Gram matrix."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.dynamics import gradient_flow as module
from lightning_gantk.kernels.dynamics import runge_kutta, stabilised
from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator
from lightning_gantk.kernels.dynamics.decaying import DecayingFlow
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow
from lightning_gantk.kernels.dynamics.loops import COMPILED
from lightning_gantk.losses import LSGAN, AdversarialLoss, Hinge, Vanilla

KERNEL = ArchitectureKernel(MLP(2))


class SquareAsAnyLoss(LSGAN):
    """LSGAN for which no closed form is known."""

    slopes = "any"


class SquareAsSmoothLoss(LSGAN):
    """LSGAN of whose slopes no more is known than that they do not jump."""

    slopes = "smooth"


def _fit(loss, time, n=24, m=24, dimensions=2, *, dtype="float32", filling=0, rtol=1e-5):
    points = np.random.default_rng(0).standard_normal((n + m, dimensions)).astype(dtype)
    fake, real = points[:n], points[n:] + 0.5
    fill = np.repeat(real[:1], filling, 0)
    compiled = CompiledDiscriminator(KERNEL, GradientFlow(loss, time, rtol), dtype)
    with compiled.precision():
        arrays = [jnp.asarray(np.concatenate([a, fill])) for a in (real, fake)]
    trained = compiled.fit(*arrays, m, n)
    keep = np.r_[:n, n + filling : n + filling + m]
    return np.asarray(trained.weights)[keep], np.asarray(trained.points, np.float64)[keep], trained


def _scores(weights, points):
    with jax.enable_x64(True):
        return np.asarray(KERNEL(jnp.asarray(points), jnp.asarray(points))) @ np.asarray(weights, np.float64)


@pytest.mark.parametrize("loss", [LSGAN(), pytest.param(Vanilla(), marks=pytest.mark.slow), Hinge()], ids=repr)
def test_filling_changes_nothing(loss):
    plain, filled = (_fit(loss, 0.5, 20, 12, filling=f)[0] for f in (0, 9))
    np.testing.assert_allclose(filled, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("time", [1.0, 3000.0])
def test_closed_form_and_both_solvers_agree(time):
    exact, points, _ = _fit(LSGAN(), time, dtype="float64")
    solved, _, trained = _fit(SquareAsAnyLoss(), time, dtype="float64", rtol=1e-6)
    assert trained.converged
    # the explicit solver at time 1; the stabilised one, whose tolerance is 1e-3, at time 3000, where it is stiff
    tolerance = 1e-5 if time == 1 else 1e-2
    assert np.abs(_scores(solved - exact, points)).max() <= tolerance


@pytest.mark.parametrize("implicit", [False, True])
def test_errors_of_steps_add_up_to_a_bound(implicit):
    """y' = -y forgets errors, so that their sum bounds the error at the end; each is below the tolerance of a step."""
    with jax.enable_x64(True):
        found = runge_kutta.solve(
            lambda y: -y, jnp.ones(1), 5.0, rtol=1e-6, atol=1e-6, max_steps=1000, implicit=implicit
        )
    assert found.reached
    assert abs(float(found.state[0]) - math.exp(-5)) <= float(found.errors) * 2e-6  # atol + rtol |y|
    assert 0 < float(found.errors) < (int(found.evaluations) - 2) / 6  # steps, those that were not kept too


@pytest.mark.slow
def test_an_implicit_solver_keeps_its_tolerance_where_the_flow_is_stiff():
    exact, points, _ = _fit(LSGAN(), 3000.0, dtype="float64")
    solved, _, trained = _fit(SquareAsSmoothLoss(), 3000.0, dtype="float64", rtol=1e-8)
    assert trained.converged and trained.products > 3000  # 500 explicit steps were not enough
    # Each step is right to 1e-9 of the weights over their masses, and scores are sums of them times k of about 3.
    assert np.abs(_scores(solved - exact, points)).max() <= trained.error * np.abs(exact).sum() * 3


@pytest.mark.parametrize("loss", [LSGAN(), pytest.param(Vanilla(), marks=pytest.mark.slow)], ids=repr)
def test_matrix_free_weights_are_those_with_a_kept_matrix(loss, monkeypatch):
    kept, points, _ = _fit(loss, 2.0, 20, 12)
    monkeypatch.setattr(module, "GRAM_BUDGET", 0)
    free, _, _ = _fit(loss, 2.0, 20, 12)
    scores = _scores(kept, points)
    assert np.linalg.norm(_scores(free - kept, points)) <= 1e-4 * np.linalg.norm(scores)


def test_cost_is_counted_in_products():
    assert int(_fit(LSGAN(), 1.0)[2].products) <= 32
    assert 12 <= int(_fit(Vanilla(), 1.0)[2].products) <= 100


@pytest.mark.slow
def test_own_loss_with_a_jump_is_solved():
    class Sign(AdversarialLoss):
        """|s -+ 1|: slopes jump from one sign to the other."""

        def a(self, scores):
            return -abs(scores + 1)

        def b(self, scores):
            return abs(scores - 1)

        def c(self, scores):
            return -scores

    weights, points, trained = _fit(Sign(), 500.0, dimensions=30)
    assert trained.converged
    assert np.abs(_scores(weights, points) - np.where(np.arange(48) < 24, -1, 1)).max() <= 2e-2


@pytest.mark.parametrize("stages", [2, 4, 11])
def test_steps_of_the_stabilised_solver_are_of_second_order(stages):
    """Half the step, an eighth of its error, up to the next order: of rates 1 to 3 times these steps, some 10 %."""
    rates, row = jnp.array([1.0, 2.0, 3.0]), stabilised._STAGES.index(stages)
    with jax.enable_x64(True):
        table, start, rates = (
            jnp.asarray(stabilised._table("float64")[row]),
            jnp.ones(3, "float64"),
            rates.astype(float),
        )

        def error(step):
            found = stabilised._step(lambda y: -rates * y, start, -rates, step, jnp.array(stages), table, COMPILED)
            return np.asarray(found - jnp.exp(-step * rates))

        np.testing.assert_allclose(error(0.02) / error(0.01), 8, rtol=0.1)


@pytest.mark.parametrize("left", [1.0, 1e-3], ids=["f_0 is nothing", "f_0 cancels what is driven"])
@pytest.mark.parametrize("decay", [0.1, 3.0])
def test_error_of_a_decaying_flow_is_over_what_is_left(decay, left):
    """Weights by eigenvectors, all at rate 1 / 30; f_0 takes away all but a part of what the loss drives."""
    stream, time, count = np.random.default_rng(0), 5.0, 60
    vectors = np.linalg.qr(stream.standard_normal((count, count)))[0]
    values = np.logspace(2, -6, count)
    matrix, targets = (vectors * values) @ vectors.T, np.where(np.arange(count) < count // 2, -1.0, 1.0)
    rates = 4 / count * values  # LSGAN's slope is twice what is missing, each side's mass 2 / count
    driven = vectors @ (-np.expm1(-(rates + decay) * time) / (rates + decay) * (vectors.T @ targets)) * 4 / count
    wanted = left * driven
    f_0 = (
        vectors @ (vectors.T @ (driven - wanted) * rates / -np.expm1(-rates * time)) * np.exp(decay * time) * count / 4
    )
    with jax.enable_x64(True):
        flow = DecayingFlow(LSGAN(), time, 1e-4, decay=decay)
        fake, mass = jnp.arange(count) < count // 2, jnp.full(count, 2 / count)
        solved = flow._affine(lambda v: jnp.asarray(matrix) @ v, mass, fake, jnp.asarray(f_0))
        off = np.asarray(solved.weights) - wanted
    error = np.sqrt(off @ matrix @ off / (wanted @ matrix @ wanted))
    assert 1e-9 < error <= float(solved.error) < 1e3 * error  # a bound: in the kernel's norm some ten times too large
