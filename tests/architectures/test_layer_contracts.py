"""Every layer keeps the contract that ships."""

import pytest

from lightning_gantk.architectures.activations import Activation
from lightning_gantk.architectures.layers import (
    Conv,
    Dense,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    Pointwise,
    Serial,
    Sum,
)
from lightning_gantk.testing import LayerContract


class TestDense(LayerContract):
    def make(self):
        return Dense(1.1, 0.3)


class TestPointwise(LayerContract):
    def make(self):
        return Pointwise(Activation("relu"))


@pytest.mark.slow
class TestLayerNorm(LayerContract):
    def make(self):
        return LayerNorm()


@pytest.mark.slow
class TestSerial(LayerContract):
    def make(self):
        return Serial((Pointwise(Activation("gelu")), Dense(1.2, None)))


@pytest.mark.slow
class TestSum(LayerContract):
    def make(self):
        return Sum((Dense(1.0, 0.2), Serial((Pointwise(Activation("abs")), Dense(0.7, None)))))


@pytest.mark.slow
class TestConv(LayerContract):
    shapes = ((2, 5, 6),)

    def make(self):
        return Conv(4, 2, 1.1, 0.3)


@pytest.mark.slow
class TestFlatten(LayerContract):
    shapes = ((2, 3, 3),)

    def make(self):
        return Flatten()


@pytest.mark.slow
class TestGlobalAveragePool(LayerContract):
    shapes = ((2, 4, 4),)

    def make(self):
        return GlobalAveragePool()
