"""A user's own parts, written outside the package, pass the contracts that ship: a class of a few lines each."""

import jax.numpy as jnp
import torch
from torch import nn

from datamodules import DataModule
from lightning_gantk.discriminators import Discriminator
from lightning_gantk.discriminators.base import check_batch
from lightning_gantk.generators import Generator
from lightning_gantk.kernels import Kernel
from lightning_gantk.kernels.base import check_positive
from lightning_gantk.losses import IPM, AdversarialLoss
from lightning_gantk.metrics.base import PointQuality
from lightning_gantk.testing import (
    DataModuleContract,
    DiscriminatorContract,
    GeneratorContract,
    KernelContract,
    LossContract,
    MetricContract,
)


class Quartic(AdversarialLoss):
    def a(self, scores):
        return -((1 + scores) ** 4)

    def b(self, scores):
        return (1 - scores) ** 4

    def c(self, scores):
        return -scores


class TestQuartic(LossContract):
    def make(self):
        return Quartic()


class Polynomial(Kernel):
    """``(x.y / d + c)^2``."""

    def __init__(self, c=1.0):
        check_positive(self, c=c)
        self.c = c

    def __call__(self, x, y):
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return (jnp.matmul(x, y.T, precision="highest") / x.shape[1] + self.c) ** 2


class TestPolynomial(KernelContract):
    shapes = ((3,), (2, 3, 4))
    refused = ((lambda: Polynomial(-1.0), "'c' of Polynomial must be positive, got -1"),)

    def make(self):
        return Polynomial()


class MeanWitness(Discriminator):
    """The linear function between the means, which keeps half of what it was."""

    def __init__(self):
        super().__init__(loss=IPM(), time=1.0)
        self.register_buffer("slope", torch.zeros(0))

    def build(self, in_shape):
        if self.slope.shape != tuple(in_shape):
            self.slope = torch.zeros(in_shape)

    def fit(self, real, fake):
        check_batch(real, fake)
        self.build(real.shape[1:])
        self.slope = 0.5 * self.slope + self.time * (fake.mean(0) - real.mean(0))

    def forward(self, x):
        return (x * self.slope.to(x)).flatten(1).sum(1)


class TestMeanWitness(DiscriminatorContract):
    shapes = ((3,), (2, 4, 4))

    def make(self):
        return MeanWitness()


class Ring(Generator):
    """Points on a circle whose radius is learnt."""

    def __init__(self):
        super().__init__(out_shape=(2,))
        self.radius = nn.Parameter(torch.ones(()))

    def latent(self, n, *, device=None, generator=None):
        angles = 2 * torch.pi * torch.rand(n, generator=generator, device=generator.device if generator else device)
        return angles if device is None else angles.to(device)

    def forward(self, latent):
        return self.radius * torch.stack([latent.cos(), latent.sin()], dim=1)


class TestRing(GeneratorContract):
    def make(self):
        return Ring()


class MeanDistance(PointQuality):
    def measure(self, real, fake):
        return {"mean_distance": (real.double().mean(0) - fake.double().mean(0)).norm()}


class TestMeanDistance(MetricContract):
    shapes = ((2,), (1, 4, 4))
    grows = ("mean_distance",)

    def make(self):
        return MeanDistance()


class Stripes(DataModule):
    """Images of one brightness."""

    sample_shape = (3, 4, 4)

    def load(self):
        brightness = torch.linspace(-1, 1, 20).view(-1, 1, 1, 1).expand(-1, *self.sample_shape)
        images = brightness.contiguous(memory_format=torch.channels_last)
        return list(images[:14]), list(images[14:])


class TestStripes(DataModuleContract):
    refused = ((lambda: Stripes(batch_size=0), "'batch_size' must be a whole number of at least 1"),)

    def make(self):
        return Stripes(batch_size=4)
