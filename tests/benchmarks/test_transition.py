"""The transition's runs, many at once, against the package's particles and kept discriminators one by one."""

import math

import pytest
import torch

from benchmarks.systems import transition
from lightning_gantk.generators import CoupledParticles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM


@pytest.mark.slow
def test_runs_are_those_of_coupled_particles_against_a_kept_discriminator(monkeypatch):
    pytest.importorskip("jax")
    from lightning_gantk.discriminators import NTKDiscriminator

    monkeypatch.setattr(transition, "FORGET", 0.2)  # within the run
    steps, speed, couplings, lengths = 40, 0.2, torch.tensor([0.0, 0.4]), torch.tensor([1.0, 0.7])
    begun = torch.stack([transition.start(0), transition.start(1)])
    ended, found = transition.run(begun, couplings, lengths, speed, steps)
    assert found.shape == (steps, 2)
    for x, coupling, length, expected in zip(begun, couplings, lengths, ended, strict=True):
        particles = CoupledParticles(None, (2,), coupling=float(coupling), start=x.clone(), per_particle=True)
        decay = transition.DECAY
        discriminator = NTKDiscriminator(
            RBF(1 / float(length) ** 2),  # exp(-gamma |x - y|^2 / d), d = 2
            IPM(),
            time=-math.log(1 - speed * decay) / decay,
            keep=True,
            decay=decay,
            forget=transition.FORGET,
            dtype="float64",
            check_every=0,
        )
        optimizer = torch.optim.SGD(particles.parameters(), lr=transition.RATE)
        for _ in range(steps):
            fake = particles(torch.arange(len(x)))
            discriminator.fit(transition._REAL, fake.detach())
            optimizer.zero_grad()
            discriminator(fake).mean().backward()
            optimizer.step()
        moved = (particles.particles.samples.detach() - x).norm()
        # float32 here, float64 there: rounding of 1e-7 a step, which the runs' own instability lets grow
        assert float((particles.particles.samples.detach() - expected).norm() / moved) < 1e-4


def test_particles_that_are_free_find_all_reals_and_strongly_coupled_ones_do_not():
    x = transition.start(0).expand(2, -1, -1)
    _, found = transition.run(x, torch.tensor([0.0, 0.8]), torch.tensor([1.0, 1.0]), 0.2, 300)
    late = found[-100:].mean(0)
    assert float(late[0]) == 8 and float(late[1]) < 4  # at 700 steps 8 and 1.5
