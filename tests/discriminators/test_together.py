"""Several processes solve together what one solves: in threads that take turns. tests/training/ has real processes."""

import copy

import jax
import numpy as np
import pytest
import torch

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels import RBF
from lightning_gantk.kernels.dynamics import gradient_flow, leader, part, together
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla
from lightning_gantk.testing.several import in_processes

REAL, FAKE, X = torch.randn(22, 2, generator=torch.Generator().manual_seed(0)).split([9, 8, 5])
REAL = REAL + 0.5


class Bent(AdversarialLoss):
    """A loss of somebody's own, of which nothing is known."""

    def a(self, scores):
        return -((1 + scores**2) ** 0.5)

    def b(self, scores):
        return ((scores - 1) ** 2 + 1) ** 0.5

    def c(self, scores):
        return -scores


def _fitted(pattern, real=REAL, fake=FAKE):
    discriminator = copy.deepcopy(pattern)
    discriminator.fit(real, fake)
    return discriminator(X).detach(), discriminator


def _agree(pattern, processes, tolerance):
    one, alone = _fitted(pattern)
    results = in_processes(lambda rank: _fitted(pattern), processes)
    for scores, discriminator in results:
        assert torch.equal(scores, results[0][0])
        assert int(discriminator._trained.products) == int(results[0][1]._trained.products)
        assert (scores - one).abs().max() <= tolerance(alone._trained) * one.abs().max()
    return alone, results


@pytest.mark.parametrize(
    ("loss", "processes"),
    [
        pytest.param(LSGAN(), 3, marks=pytest.mark.slow),
        pytest.param(Vanilla(), 2, marks=pytest.mark.slow),
        (Hinge(), 2),
        pytest.param(Bent(), 3, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_weights_are_those_of_one_process(loss, processes):
    # Both solves are right to what they say of themselves, in the kernel's norm; RBF has k(x, x) = 1, and the largest
    # score here is above a tenth of that norm. Weights are rounded to float32.
    tolerance = lambda trained: 20 * (float(trained.error) + 17 * 6e-8)  # noqa: E731
    alone, results = _agree(NTKDiscriminator(RBF(1.0), loss, 30.0, check_every=0), processes, tolerance)
    assert alone._trained.converged and int(results[0][1]._trained.products) > 1


@pytest.mark.slow
def test_momentum_and_float64_are_those_of_one_process():
    pattern = NTKDiscriminator(RBF(1.0), Vanilla(), 2.0, dtype="float64", inertia=0.5, check_every=0)
    _agree(pattern, 2, lambda trained: 20 * float(trained.error) + 1e-6)  # scores come back in float32


@pytest.mark.slow
def test_pairs_that_are_not_kept_are_worked_out_for_each_product(monkeypatch):
    monkeypatch.setattr(gradient_flow, "GRAM_BUDGET", 0)
    pattern = NTKDiscriminator(RBF(1.0), LSGAN(), 1.0, check_every=0)
    _agree(pattern, 2, lambda trained: 20 * (float(trained.error) + 1e-5))  # vectors are in float32 here


@pytest.mark.slow
def test_accuracy_is_looked_at_together():
    alone, results = _agree(NTKDiscriminator(RBF(1.0), LSGAN(), 300.0, check_every=1), 2, lambda trained: 1e-3)
    first, second = (discriminator.resolution.accuracy for _, discriminator in results)
    assert first == second
    assert 0.1 < first.sensitivity / alone.resolution.accuracy.sensitivity < 10  # one draw of the noise against another


def test_a_stiff_flow_has_all_of_the_matrix_on_the_leader(monkeypatch):
    monkeypatch.setattr(gradient_flow, "_EXPLICIT_STEPS", 1)
    monkeypatch.setattr(leader, "_COLUMNS", 7)
    matrices = []

    def work(rank):
        discriminator = copy.deepcopy(pattern)
        solve = lambda matrix, *arguments: matrices.append((rank, np.asarray(matrix))) or found  # noqa: E731
        discriminator._compiled._together._solve_stiff = solve
        discriminator.fit(REAL, FAKE)
        return np.asarray(discriminator._trained.weights)

    pattern = NTKDiscriminator(RBF(1.0), Vanilla(), 3.0, check_every=0)
    with jax.enable_x64(True):
        found = gradient_flow.Solved(*map(jax.numpy.asarray, (np.arange(18.0), True, 0.0, 3)))
    first, second = in_processes(work)
    assert first.tolist() == second.tolist() == list(range(18))
    (rank, matrix), *rest = matrices
    assert not rank and not rest
    points = torch.cat([FAKE, REAL, REAL[:1]])  # the last fills up
    assert np.allclose(matrix, pattern.gram(points).numpy(), atol=1e-6)
    assert (matrix == matrix.T).all()


@pytest.mark.parametrize(("loss", "where"), [(LSGAN(), 1), (Vanilla(), 1), (Hinge(), 0)], ids=repr)
def test_a_process_that_cannot_do_its_share_ends_the_solve_for_all(loss, where, monkeypatch):
    build = part.shares.build

    def fail(kernel, share, points):
        if share.which == where:
            raise MemoryError("no room for it")
        return build(kernel, share, points)

    monkeypatch.setattr(part.shares, "build", fail)
    pattern = NTKDiscriminator(RBF(1.0), loss, 3.0, check_every=0)

    def work(rank):
        with pytest.raises(TrainingDiverged) as error:
            _fitted(pattern)
        return str(error.value)

    messages = in_processes(work)
    assert f"Process {where} of 2 could not do its share of the solve: no room for it" in messages[where]
    assert "was not solved to rtol" in messages[1 - where]


def test_a_solver_that_fails_ends_the_solve_for_all(monkeypatch):
    def fail(*arguments):
        raise MemoryError("no room for it")

    monkeypatch.setattr(together.Together, "_lead", fail)

    def work(rank):
        with pytest.raises(TrainingDiverged) as error:
            _fitted(NTKDiscriminator(RBF(1.0), LSGAN(), 3.0))
        return str(error.value)

    first, second = in_processes(work)
    assert "The solver of the first process failed: no room for it" in first
    assert "was not solved to rtol" in second


def test_own_fakes_share_their_pairs(monkeypatch):
    from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator

    calls = []
    some = CompiledDiscriminator.scores_and_gradient_at_some_fakes
    monkeypatch.setattr(
        CompiledDiscriminator,
        "scores_and_gradient_at_some_fakes",
        lambda self, *arguments: calls.append(arguments[1:]) or some(self, *arguments),
    )

    def gradient(rank=None):
        discriminator = NTKDiscriminator(RBF(1.0), IPM(), check_every=0)
        discriminator.fit(REAL, FAKE)
        x = FAKE.clone() if rank is None else FAKE[4 * rank : 4 * rank + 4].clone()
        scores = discriminator(x.requires_grad_())
        scores.sum().backward()
        return scores.detach(), x.grad

    whole = gradient()
    assert not calls
    parts = in_processes(gradient)
    assert calls == [(0, 4), (4, 4)]
    for found, expected in zip(zip(*parts, strict=True), whole, strict=True):
        torch.testing.assert_close(torch.cat(found), expected, rtol=1e-5, atol=1e-6)
