"""Every architecture, with its kernel, keeps the contract that ships."""

import pytest

from lightning_gantk.architectures import DCGAN, MLP, ResNet, Transformed
from lightning_gantk.testing import ArchitectureContract


class TestMLP(ArchitectureContract):
    backends = ("jax", "neural-tangents")
    refused = ((lambda: MLP(hidden_layers=0), "'hidden_layers' must be a whole number of at least 1, got 0"),)

    def make(self):
        return MLP(2)


@pytest.mark.slow
class TestMLPWithLayerNorm(ArchitectureContract):
    def make(self):
        return MLP(3, layer_norm=True)


@pytest.mark.slow
class TestMLPWithoutBias(ArchitectureContract):
    def make(self):
        return MLP(2, b_std=None)


@pytest.mark.slow
class TestMLPOfParallelBranches(ArchitectureContract):
    def make(self):
        return MLP(2, activation=["relu", {"name": "erf", "c": 0.5}])


@pytest.mark.slow
class TestTransformed(ArchitectureContract):
    # tanh in float32 rounds samples by 6e-8: of a distance of 1e-6, and so of the direction at the cusp, 0.06
    gradient_precision = 0.06

    def make(self):
        return Transformed(MLP(1), "tanh")


@pytest.mark.slow
class TestMLPOfImages(ArchitectureContract):
    shapes = ((2, 3, 4),)

    def make(self):
        return MLP(1, b_std=0.5, W_std=1.4)


@pytest.mark.slow
class TestResNet(ArchitectureContract):
    def make(self):
        return ResNet(2, 1)


@pytest.mark.slow
class TestResNetWithLayerNorm(ArchitectureContract):
    def make(self):
        return ResNet(1, 2, layer_norm=True)


@pytest.mark.slow
class TestDCGAN(ArchitectureContract):
    shapes = ((1, 6, 6),)
    backends = ("jax", "neural-tangents")

    def make(self):
        return DCGAN(1, b_std=0.3)


@pytest.mark.slow
class TestDCGANOfColours(ArchitectureContract):
    shapes = ((3, 6, 6),)

    def make(self):
        return DCGAN(1, "leaky_relu", layer_norm=True)
