"""Every generator keeps the contract that ships."""

import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.generators import (
    CoupledParticles,
    DCGANGenerator,
    MLPGenerator,
    NetworkGenerator,
    NTKGenerator,
    Particles,
)
from lightning_gantk.testing import GeneratorContract


class TestMLPOfVectors(GeneratorContract):
    def make(self):
        return MLPGenerator((2,), 5, [7])


class TestMLPOfImages(GeneratorContract):
    def make(self):
        return MLPGenerator((3, 4, 6), 5, [7], activation=["silu", "relu"], latent="uniform")


class TestDCGAN(GeneratorContract):
    def make(self):
        return DCGANGenerator((3, 8, 8), 5, 2)


class TestDCGANOfRepeatedPixels(GeneratorContract):
    refused = ((lambda: DCGANGenerator(upsampling="bilinear"), "'upsampling' must be 'transposed' or 'nearest'"),)

    def make(self):
        return DCGANGenerator((3, 8, 8), 5, 2, activation=["relu", "tanh"], upsampling="nearest")


class TestParticles(GeneratorContract):
    refused = ((lambda: Particles(0), "'n' must be a whole number of at least 1"), (lambda: Particles(None), "set 'n'"))

    def make(self):
        return Particles(6)


class TestParticlesOfImages(GeneratorContract):
    bounded = False

    def make(self):
        return Particles(6, (3, 4, 4), start="uniform")


class TestParticlesThatMoveByTheirOwnGradient(GeneratorContract):
    plain_gradient = False

    def make(self):
        return Particles(6, per_particle=True)


class TestCoupledParticles(GeneratorContract):
    bounded, plain_gradient = False, False

    def make(self):
        return CoupledParticles(6, (3, 4, 4), coupling=0.3)


@pytest.mark.slow
class TestParticlesCoupledByAnArchitecture(GeneratorContract):
    plain_gradient = False

    def make(self):
        return CoupledParticles(6, coupling=MLP(1), latent_dim=3, per_particle=True)


@pytest.mark.slow
class TestNTKGenerator(GeneratorContract):
    bounded, plain_gradient = False, False

    def make(self):
        return NTKGenerator(MLP(1), 6, 3, (3, 2, 2))


class TestNetworkGenerator(GeneratorContract):
    bounded = False

    def make(self):
        return NetworkGenerator(MLP(1, activation=["relu", "erf"]), 5, 3, (3, 2, 2))
