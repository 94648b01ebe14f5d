"""Every measure of quality keeps the contract that ships."""

import pytest
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import RBF
from lightning_gantk.metrics import (
    MMD,
    Combined,
    EnergyDistance,
    FeatureExtractor,
    LeNetFeatures,
    Manifolds,
    ModeCoverage,
    NearestReal,
    SampleQuality,
    Sinkhorn,
    SlicedWasserstein,
    TorchMetric,
)
from lightning_gantk.testing import MetricContract


class Pixels(FeatureExtractor):
    """The features are the pixels."""

    num_features = 8

    def check(self, in_shape):
        pass

    def load(self):
        return nn.Flatten()


class TestSinkhorn(MetricContract):
    grows = ("sinkhorn",)

    def make(self):
        return Sinkhorn(blur=0.05, scaling=0.8)


class TestEnergyDistance(MetricContract):
    shapes = ((2,), (3, 2, 4))
    grows = ("energy_distance",)

    def make(self):
        return EnergyDistance()


class TestSlicedWasserstein(MetricContract):
    shapes = ((1, 9, 8), (3, 32, 32))
    grows = ("swd",)
    refused = (
        (lambda: SlicedWasserstein(projections=0), "'projections' must be a whole number of at least 1, got 0"),
        (lambda: SlicedWasserstein().build((2,)), "of at least 7 pixels, got samples of shape"),
    )

    def make(self):
        return SlicedWasserstein(projections=32, smallest=8)


class TestMMD(MetricContract):
    grows = ("mmd",)

    def make(self):
        return MMD(RBF(1.0))


class TestMMDOfAnArchitectureInFloat32(MetricContract):
    grows = ("mmd",)
    tolerance = 1e-3  # differences of scores of size 1, rounded by 6e-8 each: squares that are off by 1e-6 or so

    def make(self):
        return MMD(MLP(1), dtype="float32")


class TestModeCoverage(MetricContract):
    def make(self):
        return ModeCoverage([[0.0, 0.0], [0.5, 0.5]], 0.1)


class TestNearestReal(MetricContract):
    def make(self):
        return NearestReal()


class TestCombined(MetricContract):
    grows = ("energy_distance",)

    def make(self):
        return Combined([EnergyDistance(), ModeCoverage([[0.0, 0.0]], 0.1)])


class TestSampleQuality(MetricContract):
    shapes = ((1, 2, 4),)
    counts = (40, 40)  # KID draws subsets of the larger number
    grows = ("fid", "kid")

    def make(self):
        return SampleQuality(Pixels())


@pytest.mark.filterwarnings("ignore:FID from")  # 40 images, 84 features
class TestSampleQualityByLeNet(MetricContract):
    shapes = ((1, 32, 32),)
    counts = (40, 40)
    grows = ("fid",)
    tolerance = 84 * 6e-8  # features in float32, that batches of other sizes round otherwise; a trace sums 84 of them

    def make(self):
        return SampleQuality(LeNetFeatures())


class TestManifolds(MetricContract):
    shapes = ((2,), (1, 2, 4))

    def make(self):
        return Manifolds(neighbours=3)


class ThreePixels(nn.Flatten):
    """In the place of Inception: the features are the pixels."""

    num_features = 24

    def forward(self, images):
        return super().forward(images).double() / 255


class TestTorchMetric(MetricContract):
    shapes = ((1, 2, 4),)
    grows = ("frechet_inception_distance",)
    tolerance = 1e-6  # features are in float32 there, and their sums in float64

    def make(self):
        return TorchMetric(FrechetInceptionDistance(ThreePixels()))
