"""Every loss keeps the contract that ships."""

import pytest

from lightning_gantk.losses import IPM, KALE, LSGAN, ExternalIPM, FDivergence, Hinge, MonoFlow, Saddle, Vanilla
from lightning_gantk.testing import LossContract


class TestIPM(LossContract):
    def make(self):
        return IPM()


class TestExternalIPM(LossContract):
    def make(self):
        return ExternalIPM()


class TestLSGAN(LossContract):
    def make(self):
        return LSGAN()


class TestVanilla(LossContract):
    def make(self):
        return Vanilla()


class TestSaturatingVanilla(LossContract):
    def make(self):
        return Vanilla(saturating=True)


class TestHinge(LossContract):
    def make(self):
        return Hinge()


class TestMonoFlow(LossContract):
    refused = (
        (lambda: MonoFlow("log"), "'logit', 'ns', 'vanilla', 'arcsinh', 'exp' or a function, got 'log'"),
        (lambda: MonoFlow(shift=float("inf")), "'shift'.*finite"),
        (lambda: MonoFlow(scale=-1.0), "'scale'.*positive"),
    )

    @pytest.fixture(autouse=True, params=["vanilla", "arcsinh"])
    def _name(self, request):
        self.name = request.param

    def make(self):
        return MonoFlow(self.name, shift=5.0, scale=0.7)


class TestExponentialMonoFlow(LossContract):
    largest = 50.0  # exp(1.5 s) leaves float32 at s = 59

    def make(self):
        return MonoFlow("exp")


class TestFDivergence(LossContract):
    largest = 40.0  # (r - 1)^2 leaves float32 at s = 44
    refused = ((lambda: FDivergence("tv"), "reverse_kl, kl, chi2, hellinger, js, got 'tv'"),)

    @pytest.fixture(autouse=True, params=["chi2", "js"])
    def _name(self, request):
        self.name = request.param

    def make(self):
        return FDivergence(self.name)


class TestLSGANWithTargets(LossContract):
    def make(self):
        return LSGAN(real=1.0, fake=0.0, generator=1.0)


class TestSaddle(LossContract):
    def make(self):
        return Saddle(LSGAN())


class TestSaddleWithKinks(LossContract):
    def make(self):
        return Saddle(Hinge())


class TestKALE(LossContract):
    largest = 60.0  # beyond, e^s is no number in float32

    def make(self):
        return KALE()
