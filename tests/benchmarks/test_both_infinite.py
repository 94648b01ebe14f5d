"""Both players at infinite width, and finite pairs that come near."""

import pytest
import torch

from benchmarks import both_infinite
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import CoupledParticles
from lightning_gantk.generators.latent_kernel import LatentKernel
from lightning_gantk.losses import IPM


@pytest.mark.slow
def test_infinite_pair_is_a_flow_of_particles_that_the_generators_kernel_couples():
    """The same trajectory from particles, whose Gamma is scaled to a diagonal of ones, step by step."""
    generator, real, wanted = both_infinite.infinite(3)
    gamma = LatentKernel(both_infinite.GENERATOR, both_infinite._LATENT_DIM)(generator.latents, generator.latents)
    places = wanted[0].clone()
    discriminator = NTKDiscriminator(both_infinite.DISCRIMINATOR, IPM(), time=1.0, check_every=0)
    particles = CoupledParticles(64, start=places, coupling=0.0)
    for k in range(3):
        particles.coupling.copy_(gamma)
        discriminator.fit(real, particles.samples.detach())
        particles.zero_grad()
        discriminator(particles(particles.population())).mean().backward()
        with torch.no_grad():
            particles.samples.sub_(both_infinite._RATE * 64 * particles.samples.grad)
        # float32, sums of 64 products with Gamma up to some 20
        torch.testing.assert_close(particles.samples.detach(), wanted[k + 1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_wider_pairs_are_nearer():
    generator, real, wanted = both_infinite.infinite(3)
    ends = {}
    for width in (16, 1024):
        found = [both_infinite.finite(width, seed, generator.latents, real, 3) for seed in range(2)]
        ends[width] = sum(both_infinite.error(one, wanted)[-1] for one in found) / 2
    assert ends[1024] < ends[16] / 2  # 8 times is expected
