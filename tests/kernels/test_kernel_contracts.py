"""Every closed-form kernel keeps the contract that ships, and so do kernels made of others."""

import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import (
    RBF,
    EnergyDistance,
    FourierPoisson,
    InverseMultiquadric,
    Laplace,
    Polyharmonic,
    TransformedKernel,
)
from lightning_gantk.testing import KernelContract


class TestRBF(KernelContract):
    refused = ((lambda: RBF(0.0), "'gamma' of RBF must be positive"), (lambda: RBF(float("nan")), "must be positive"))

    def make(self):
        return RBF(0.7)


class TestLaplace(KernelContract):
    shapes = ((40,),)  # few dimensions are the RBF's and the energy kernel's
    refused = ((lambda: Laplace(-1.0), "must be positive, got -1"),)

    def make(self):
        return Laplace(0.7)


class TestEnergyDistance(KernelContract):
    shapes = ((3,),)

    def make(self):
        return EnergyDistance()


@pytest.mark.slow
class TestLaplaceInFewDimensions(TestLaplace):
    shapes = ((1,), (3,))


@pytest.mark.slow
class TestEnergyDistanceInOtherDimensions(TestEnergyDistance):
    shapes = ((1,), (40,))


@pytest.mark.slow
class TestInverseMultiquadric(KernelContract):
    refused = (
        (lambda: InverseMultiquadric(float("nan")), "'gamma' of InverseMultiquadric must be positive"),
        (lambda: InverseMultiquadric(1.0, 0.0), "'power' of InverseMultiquadric must be positive"),
    )

    def make(self):
        return InverseMultiquadric(0.7, 1.5)


@pytest.mark.slow
class TestTransformedRBF(KernelContract):
    shapes = ((3,), (2, 3, 4))

    def make(self):
        return TransformedKernel(RBF(0.5), "tanh")


class TestTransformedMLP(KernelContract):
    shapes = ((3,),)
    # tanh in float32 rounds samples by 6e-8: of a distance of 1e-6, and so of the direction at the cusp, 0.06
    gradient_precision = 0.06

    def make(self):
        return TransformedKernel(MLP(1).kernel(), "tanh")


class TestPolyharmonic(KernelContract):
    shapes = ((1,), (3,))
    refused = (
        (lambda: Polyharmonic(2.0), "'order' of Polyharmonic must lie below 2"),
        (lambda: Polyharmonic(0.0), "infinite where samples meet"),
        (lambda: Polyharmonic(-1.0), "infinite where samples meet"),
        (lambda: Polyharmonic(1.0, -0.1), "'softening' of Polyharmonic must be a number of at least 0"),
    )

    def make(self):
        return Polyharmonic(1.0)


class TestLogarithmicPotential(KernelContract):
    shapes = ((3,),)

    def make(self):
        return Polyharmonic(0.0, softening=0.5)


class TestCoulombPotential(KernelContract):
    shapes = ((3,),)

    def make(self):
        return Polyharmonic(-1.0, softening=0.5)


class TestFourierPoisson(KernelContract):
    shapes = ((1,), (3,))
    refused = (
        (lambda: FourierPoisson(0.0), "'period' of FourierPoisson must be positive"),
        (lambda: FourierPoisson(terms=0), "'terms' of FourierPoisson must be a whole number"),
        (lambda: FourierPoisson(terms=8).check((1, 8, 8)), "17\\^64 terms"),
    )

    def make(self):
        return FourierPoisson(8.0, terms=3)
