"""Every discriminator keeps the contract that ships."""

import pytest
import torch
from torch import nn

from datamodules.targets import GaussianMixture
from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.denoisers import MLPDenoiser, UNet
from lightning_gantk.discriminators import (
    DenoiserScore,
    ExactRatio,
    FiniteDiscriminator,
    InitialFunction,
    KDEScore,
    LinearizedDiscriminator,
    MomentEmbedding,
    NoiseInjected,
    Normalized,
    NTKDiscriminator,
    PrivateMeanEmbedding,
    SingleLevelNTK,
)
from lightning_gantk.flows import TimedMLP
from lightning_gantk.kernels import RBF, Laplace
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla
from lightning_gantk.testing import DiscriminatorContract


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-2)


class TestFinite(DiscriminatorContract):
    refused = (
        (lambda: FiniteDiscriminator(MLP(), IPM(), time=-0.5), "at least 0, got time=-0.5"),
        (lambda: FiniteDiscriminator(MLP(), IPM(), steps=0), "'steps' must be a whole number of at least 1"),
    )

    def make(self):
        return FiniteDiscriminator(MLP(1), IPM(), width=8, steps=2, time=0.5)


class TestFiniteReset(DiscriminatorContract):
    def make(self):
        return FiniteDiscriminator(MLP(1), LSGAN(), width=64, time=0.1, reset=True)


class TestFiniteWithPenaltyAndOptimizer(DiscriminatorContract):
    def make(self):
        options = {"time": None, "optimizer": adam, "steps": 5, "gradient_penalty": 1.0}
        return FiniteDiscriminator(MLP(1, "gelu"), Vanilla(), width=8, **options)


class TestFiniteSpectral(DiscriminatorContract):
    pickles = False

    def make(self):
        options = {"time": None, "optimizer": adam, "steps": 20, "spectral_norm": True, "antisymmetric": False}
        return FiniteDiscriminator(MLP(1), IPM(), width=8, **options)


class TestFiniteOfImages(DiscriminatorContract):
    shapes = ((3, 6, 6),)

    def make(self):
        return FiniteDiscriminator(DCGAN(1), Hinge(), width=4, time=0.02)


class TestTorchModule(DiscriminatorContract):
    def make(self):
        return FiniteDiscriminator(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)), LSGAN(), time=0.1)


class TestInfinite(DiscriminatorContract):
    arithmetic = torch.float32
    refused = ((lambda: NTKDiscriminator(MLP(), IPM(), time=None), "needs a training time"),)

    def make(self):
        return NTKDiscriminator(MLP(1), IPM())


@pytest.mark.slow
class TestInfiniteOfImages(DiscriminatorContract):
    shapes = ((3, 6, 6),)
    arithmetic = torch.float32

    def make(self):
        return NTKDiscriminator(DCGAN(1), LSGAN())


@pytest.mark.slow
class TestInfiniteInFloat64(DiscriminatorContract):
    def make(self):
        return NTKDiscriminator(RBF(0.5), Vanilla(), dtype="float64", initial=InitialFunction(MLP(1, "gelu"), width=4))


@pytest.mark.slow
class TestInfiniteWithInertia(DiscriminatorContract):
    def make(self):
        return NTKDiscriminator(MLP(1), LSGAN(), dtype="float64", inertia=0.1)


@pytest.mark.slow
class TestOnLandmarks(DiscriminatorContract):
    def make(self):
        return NTKDiscriminator(RBF(0.5), LSGAN(), dtype="float64", features=6)


class TestNoiseInjected(DiscriminatorContract):
    of_fakes = False
    refused = (
        (
            lambda: NoiseInjected(NTKDiscriminator(RBF(), IPM()), -1.0),
            "'level' of the noise must be a number of at least 0",
        ),
        (lambda: NoiseInjected(NTKDiscriminator(RBF(), IPM()), 1.0, decay=1.5), "'decay' of the noise must be"),
        (lambda: NoiseInjected(RBF(), 1.0), "NoiseInjected needs a discriminator"),
    )

    def make(self):
        return NoiseInjected(NTKDiscriminator(RBF(), IPM(), dtype="float64"), level=0.5, decay=0.5, every=1)


class TestNormalized(DiscriminatorContract):
    refused = (
        (lambda: Normalized(NTKDiscriminator(RBF(), LSGAN())), "loss must be IPM"),
        (lambda: Normalized(FiniteDiscriminator(MLP(1), IPM()), by="scaled"), "needs an NTKDiscriminator"),
        (lambda: Normalized(NTKDiscriminator(RBF(), IPM()), floor=0.0), "'floor' must be positive"),
        (lambda: _scaled(Laplace()).fit(torch.zeros(2, 3), torch.ones(2, 3)), "has a cusp"),
        (lambda: _scaled(MLP(1)).fit(torch.zeros(2, 3), torch.ones(2, 3)), "does not say"),
    )

    def make(self):
        return Normalized(NTKDiscriminator(RBF(), IPM(), dtype="float64"), by="scaled")


def _scaled(kernel):
    return Normalized(NTKDiscriminator(kernel, IPM()), by="scaled")


class TestKDEScore(DiscriminatorContract):
    of_fakes = False
    refused = (
        (lambda: KDEScore(0.0, 1.0), "0 < sigma_min <= sigma_max"),
        (lambda: KDEScore(2.0, 1.0), "0 < sigma_min <= sigma_max"),
        (lambda: KDEScore(1.0, 2.0, rho=0.0), "'rho' must be positive"),
    )

    def make(self):
        return KDEScore(0.5, 2.0)


def _denoiser_score(**options):
    return DenoiserScore(MLPDenoiser((3,), (8,), embedding=4), 0.5, 2.0, optimizer=adam, **options)


class TestDenoiserScore(DiscriminatorContract):
    improves = False
    of_fakes = False
    refused = (
        (lambda: _denoiser_score(steps=0), "'steps' must be a whole number of at least 1"),
        (lambda: _denoiser_score(pretrain=-1), "'pretrain' must be a whole number of at least 0"),
        (lambda: _denoiser_score(sigma_data=0.0), "'sigma_data' must be positive"),
        (lambda: _denoiser_score().build((2,)), "does not take samples of shape"),
        (lambda: DenoiserScore(TimedMLP((3,), (8,), embedding=4)).build((3,)), "must give samples of the shape"),
        (lambda: DenoiserScore(MLP(1)), "must be a torch module"),
    )

    def make(self):
        return _denoiser_score(steps=3)


class TestPretrainedDenoiserScore(DiscriminatorContract):
    improves = False
    of_fakes = False
    refused = (
        (lambda: _denoiser_score(pretrain=1).fit(torch.zeros(2, 3), torch.ones(2, 3)), "call prepare"),
        (lambda: _denoiser_score(pretrain=1).prepare([]), "needs real samples"),
    )

    def make(self):
        discriminator = _denoiser_score(steps=2, pretrain=3)
        discriminator.prepare([torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) + 1])
        return discriminator


class TestDenoiserScoreOfImages(DiscriminatorContract):
    shapes = ((3, 8, 8),)
    improves = False
    of_fakes = False

    def make(self):
        return DenoiserScore(UNet((3, 8, 8), 8, levels=2, patch=2, embedding=4), steps=2)


class TestExactRatio(DiscriminatorContract):
    refused = (
        (lambda: ExactRatio(RBF()), "with a log_density"),
        (lambda: ExactRatio(GaussianMixture([[1.0] * 3])).build((1, 8, 8)), "takes points"),
    )

    def make(self):
        return ExactRatio(GaussianMixture([[1.0] * 3], std=1.0))


class TestLinearized(DiscriminatorContract):
    refused = (
        (lambda: LinearizedDiscriminator(MLP(1), IPM(), decay=-0.1), "'decay' must be a number of at least 0"),
        (lambda: LinearizedDiscriminator(MLP(1), IPM(), time=None), "needs a training time"),
        (lambda: LinearizedDiscriminator(MLP(1), IPM(), relinearize_every=0), "'relinearize_every' must be"),
        (
            lambda: LinearizedDiscriminator(MLP(1), IPM(), keep=True, decay=0.1, relinearize_every=2),
            "kept and moves cannot decay",
        ),
    )

    def make(self):
        return LinearizedDiscriminator(MLP(1), Vanilla(), width=8, keep=True, decay=0.1)


class TestLinearizedAndMoved(DiscriminatorContract):
    def make(self):
        return LinearizedDiscriminator(MLP(1, "gelu"), IPM(), time=0.1, width=8, keep=True, relinearize_every=1)


class TestLinearizedModule(DiscriminatorContract):
    def make(self):
        return LinearizedDiscriminator(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)), LSGAN(), time=0.5)


class TestKept(DiscriminatorContract):
    def make(self):
        return NTKDiscriminator(RBF(), LSGAN(), dtype="float64", keep=True, decay=0.1)


class TestPenalised(DiscriminatorContract):
    def make(self):
        return NTKDiscriminator(RBF(), IPM(), dtype="float64", solution="ridge", ridge=0.5, gradient_penalty=1.0)


class TestSingleLevel(DiscriminatorContract):
    refused = ((lambda: SingleLevelNTK(RBF(), -1.0), "at least 0"),)

    def make(self):
        return SingleLevelNTK(RBF(), time=2.0)


class TestPrivateMeanEmbedding(DiscriminatorContract):
    refused = (
        (lambda: PrivateMeanEmbedding(MLP(1), 0.0, 1e-5), "'epsilon' must be positive"),
        (lambda: PrivateMeanEmbedding(MLP(1), 1.0, 1.0), "'delta' must lie between 0 and 1"),
        (lambda: PrivateMeanEmbedding(MLP(1), 1.0, 1e-5, classes=1), "'classes' must be a whole number of at least 2"),
        (lambda: PrivateMeanEmbedding(MLP(1), 1.0, 1e-5).fit(torch.zeros(2, 3), torch.ones(2, 3)), "call prepare"),
        (lambda: PrivateMeanEmbedding(MLP(1), 1.0, 1e-5).prepare([]), "no real samples"),
    )

    def make(self):
        discriminator = PrivateMeanEmbedding(MLP(1, "gelu"), epsilon=10.0, delta=1e-5, width=16, secret=False)
        discriminator.prepare([torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) + 1])
        return discriminator


class TestMomentEmbedding(DiscriminatorContract):
    refused = (
        (lambda: MomentEmbedding(MLP(1), width=0), "'width' must be a whole number of at least 1"),
        (lambda: MomentEmbedding(MLP(1), LSGAN()), "its loss must be IPM"),
        (lambda: MomentEmbedding(MLP(1), second=-1.0), "'second' must be a number of at least 0"),
        (lambda: MomentEmbedding(MLP(1), ridge=0.0), "'ridge' must be positive"),
        (lambda: MomentEmbedding(MLP(1), decay=0.0), "'decay' must lie above 0"),
        (lambda: MomentEmbedding(MLP(1)).fit(torch.zeros(2, 3), torch.ones(2, 3)), "call prepare"),
        (lambda: MomentEmbedding(MLP(1)).prepare([]), "two real samples or more"),
        (lambda: MomentEmbedding(MLP(1)).prepare([torch.ones(4, 3)]), "the same features"),
    )

    def make(self):
        discriminator = MomentEmbedding(MLP(1, "gelu"), width=16)
        discriminator.prepare([torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) + 1])
        return discriminator
