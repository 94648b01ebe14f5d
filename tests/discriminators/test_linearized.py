"""The linearised network: against its own kernel, against gradient steps, and against infinite width."""

import copy
import math

import numpy as np
import pytest
import torch
from flows_by_hand import kept_scores
from torch import nn

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, LinearizedDiscriminator, NTKDiscriminator, tangent_flow
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla


def _batch(seed=0, m=7, n=5):
    stream = torch.Generator().manual_seed(seed)
    real = torch.randn(m, 2, generator=stream, dtype=torch.float64) + 1
    return real, torch.randn(n, 2, generator=stream, dtype=torch.float64) - 1


def _linearized(loss, **options):
    torch.manual_seed(0)
    discriminator = LinearizedDiscriminator(MLP(1), loss, width=16, rtol=1e-9, **options)
    discriminator.build((2,))
    return discriminator.double()


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla()], ids=repr)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_kept_flow_is_that_of_its_kernel(loss, decay):
    discriminator, x = _linearized(loss, time=1.5, keep=True, decay=decay), torch.randn(4, 2).double()
    batches = [_batch(seed) for seed in (1, 2, 3)]
    for real, fake in batches:
        discriminator.fit(real, fake)
    wanted = kept_scores(discriminator, loss, batches, x, 1.5, decay)
    torch.testing.assert_close(discriminator(x), wanted, rtol=1e-6, atol=1e-6)  # some hundred steps of 1e-9


def test_a_discriminator_that_is_not_kept_starts_from_zero():
    discriminator, x = _linearized(LSGAN()), torch.randn(4, 2).double()
    discriminator.fit(*_batch(1))
    discriminator.fit(*_batch(2))
    fresh = _linearized(LSGAN())
    fresh.fit(*_batch(2))
    assert torch.equal(discriminator(x), fresh(x))
    discriminator.reset()
    assert not discriminator(x).any()


def test_moved_at_every_fit_it_takes_the_gradient_steps_of_the_network():
    """IPM for a time h is one gradient step of size h; the network stands where the step before has led."""
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    finite = FiniteDiscriminator(copy.deepcopy(network), IPM(), steps=1, time=0.3)
    moved = LinearizedDiscriminator(network, IPM(), time=0.3, keep=True, relinearize_every=1)
    for seed in range(4):
        if seed:
            finite.fit(*_batch(seed - 1))
        moved.fit(*_batch(seed))
    for ours, theirs in zip(moved.network.parameters(), finite.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    x = torch.randn(3, 2).double()
    finite.fit(*_batch(3))
    change = finite(x) - network(x)[:, 0].detach()
    assert (moved(x) - change).norm() < 0.1 * change.norm()  # all but the last step is the network's own


def test_small_times_agree_with_gradient_steps_to_second_order():
    errors = []
    for time in (0.2, 0.1):
        torch.manual_seed(0)
        network = MLP(1, "gelu").network(32, (2,)).double()
        linear = LinearizedDiscriminator(network, IPM(), time=time)
        finite = FiniteDiscriminator(copy.deepcopy(network), IPM(), time=time)
        x = torch.randn(5, 2).double()
        before = network(x).detach()
        for discriminator in (linear, finite):
            discriminator.fit(*_batch())
        errors.append(float((finite(x) - before - linear(x)).norm()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)  # 8 for the third order, which is left at t = 0.1


def test_width_brings_it_to_the_infinite_one():
    """As 1 / sqrt(width): 16 times the width, a quarter of the error; 8 draws leave some 30 % each."""
    real, fake = _batch(0, 8, 8)
    infinite = NTKDiscriminator(MLP(1), IPM(), dtype="float64", check_every=0)
    infinite.fit(real, fake)
    x = torch.cat([real, fake])
    wanted, errors = infinite(x), []
    for width in (64, 1024):
        found = []
        for seed in range(8):
            torch.manual_seed(seed)
            linear = LinearizedDiscriminator(MLP(1), IPM(), width=width)
            linear.fit(real.float(), fake.float())
            found.append(float((linear(x.float()) - wanted).norm() / wanted.norm()))
        errors.append(np.mean(found))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.5)
    assert errors[1] < 0.1


def test_hinge_rests_at_its_kinks():
    """At a long time no score of a fake is above -1 but for the spread of the jump, nor of a real below 1."""
    discriminator = _linearized(Hinge(), time=50.0)
    real, fake = _batch(0, 4, 4)
    discriminator.fit(real + 2, fake - 2)
    assert float(discriminator(fake - 2).max()) < -1 + 0.02
    assert float(discriminator(real + 2).min()) > 1 - 0.02


@pytest.mark.parametrize("most", [256, 8])
@pytest.mark.parametrize("time", [5.0, 200.0])
def test_phi_product_is_that_of_the_eigenvectors(most, time, monkeypatch):
    monkeypatch.setattr(tangent_flow, "_MOST_VECTORS", most)
    torch.manual_seed(0)
    half = torch.randn(40, 40, dtype=torch.float64)
    matrix, b = half @ half.T / 40, torch.randn(40, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(matrix)
    wanted = vectors @ (-torch.expm1(-time * values) / values * (vectors.T @ b))
    asked = []

    def product(v):
        asked.append(v)
        return matrix @ v

    missed = tangent_flow.phi_product(product, b, time, 1e-10) - wanted
    spaces = math.ceil(len(asked) / min(most, 40))  # each within the tolerance of what it adds, which is less than all
    assert missed @ matrix @ missed <= (spaces * 1e-10) ** 2 * (wanted @ matrix @ wanted)
    assert spaces > 1 or most == 256


def test_networks_with_several_outputs_are_refused():
    discriminator = LinearizedDiscriminator(nn.Linear(2, 3), IPM())
    with pytest.raises(ConfigError, match=r"one score per sample, \(N,\) or \(N, 1\); got \(12, 3\)"):
        discriminator.fit(*(batch.float() for batch in _batch()))
