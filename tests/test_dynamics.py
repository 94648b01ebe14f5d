"""Dual weights of every kind of loss: against other solvers, at long times, with and without a kept Gram matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import dynamics as module
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.dynamics import Dynamics
from lightning_gantk.kernels.engine import Engine
from lightning_gantk.losses import LSGAN, AdversarialLoss, Hinge, Vanilla

KERNEL = ArchitectureKernel(MLP(2))


class SquareAsAnyLoss(LSGAN):
    """LSGAN for which no closed form is known."""

    slopes = "any"


def _fit(loss, time, n=24, m=24, dimensions=2, *, dtype="float32", filling=0, rtol=1e-5):
    points = np.random.default_rng(0).standard_normal((n + m, dimensions)).astype(dtype)
    fake, real = points[:n], points[n:] + 0.5
    fill = np.repeat(real[:1], filling, 0)
    engine = Engine(KERNEL, Dynamics(loss, time, rtol), dtype)
    with engine.precision():
        arrays = [jnp.asarray(np.concatenate([a, fill])) for a in (real, fake)]
    trained = engine.fit(*arrays, m, n)
    keep = np.r_[:n, n + filling : n + filling + m]
    return np.asarray(trained.weights)[keep], np.asarray(trained.points, np.float64)[keep], trained


def _scores(weights, points):
    with jax.enable_x64(True):
        return np.asarray(KERNEL(jnp.asarray(points), jnp.asarray(points))) @ np.asarray(weights, np.float64)


@pytest.mark.parametrize("loss", [LSGAN(), Vanilla(), Hinge()], ids=repr)
def test_filling_changes_nothing(loss):
    plain, filled = (_fit(loss, 0.5, 20, 12, filling=f)[0] for f in (0, 9))
    np.testing.assert_allclose(filled, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("time", [1.0, 3000.0])
def test_closed_form_and_both_solvers_agree(time):
    exact, points, _ = _fit(LSGAN(), time, dtype="float64")
    solved, _, trained = _fit(SquareAsAnyLoss(), time, dtype="float64", rtol=1e-6)
    assert trained.converged
    # the explicit solver at time 1; the stabilised one, whose tolerance is 1e-3, at time 3000, where it is stiff
    tolerance = 1e-5 if time == 1 else 1e-2
    assert np.abs(_scores(solved - exact, points)).max() <= tolerance


@pytest.mark.parametrize("time", [10.0, 100.0])
@pytest.mark.parametrize("dimensions", [2, 30])
def test_hinge_settles_on_its_kinks_at_bounded_cost(dimensions, time):
    """Against explicit Euler steps so short that trembling on the kinks moves scores by less than 2e-3."""
    weights, points, trained = _fit(Hinge(), time, dimensions=dimensions)
    assert trained.converged and trained.products < 20_000
    with jax.enable_x64(True):
        matrix = jnp.asarray(KERNEL(jnp.asarray(points), jnp.asarray(points)))
        step, fake = 2e-4, jnp.arange(48) < 24

        def euler(_, w):
            f = matrix @ w
            return w + step / 24 * jnp.where(fake, -(f > -1.0).astype(f.dtype), (f < 1.0).astype(f.dtype))

        reference = jax.jit(lambda: jax.lax.fori_loop(0, round(time / step), euler, jnp.zeros(48)))()
    assert np.abs(_scores(weights - np.asarray(reference), points)).max() <= 2e-2


@pytest.mark.parametrize("loss", [LSGAN(), Vanilla()], ids=repr)
def test_matrix_free_weights_are_those_with_a_kept_matrix(loss, monkeypatch):
    kept, points, _ = _fit(loss, 2.0, 20, 12)
    monkeypatch.setattr(module, "GRAM_BUDGET", 0)
    free, _, _ = _fit(loss, 2.0, 20, 12)
    scores = _scores(kept, points)
    assert np.linalg.norm(_scores(free - kept, points)) <= 1e-4 * np.linalg.norm(scores)


def test_cost_is_counted_in_products():
    assert int(_fit(LSGAN(), 1.0)[2].products) <= 32
    assert 12 <= int(_fit(Vanilla(), 1.0)[2].products) <= 100


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
