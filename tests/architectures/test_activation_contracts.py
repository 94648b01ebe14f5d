"""Every activation keeps the contract that ships."""

import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.testing import ActivationContract


class TestReLU(ActivationContract):
    refused = ((lambda: MLP(activation="swish"), "Unknown activation 'swish'; allowed are relu"),)

    def make(self):
        return "relu"


@pytest.mark.slow
class TestLeakyReLU(ActivationContract):
    def make(self):
        return {"name": "leaky_relu", "alpha": 0.3}


@pytest.mark.slow
class TestGELU(ActivationContract):
    def make(self):
        return "gelu"


@pytest.mark.slow
class TestErf(ActivationContract):
    refused = ((lambda: MLP(activation={"name": "erf", "gamma": 1}), "no parameter 'gamma'; allowed: a"),)

    def make(self):
        return {"name": "erf", "a": 0.7, "b": 1.3, "c": 0.4}


@pytest.mark.slow
class TestSin(ActivationContract):
    def make(self):
        return {"name": "sin", "a": 0.7, "b": 1.3, "c": 0.4}


@pytest.mark.slow
class TestAbs(ActivationContract):
    def make(self):
        return "abs"


@pytest.mark.slow
class TestSigmoidLike(ActivationContract):
    def make(self):
        return "sigmoid_like"


@pytest.mark.slow
class TestRBF(ActivationContract):
    refused = ((lambda: MLP(activation={"name": "rbf", "gamma": -1.0}), "must be positive, got -1"),)

    def make(self):
        return {"name": "rbf", "gamma": 0.6}


@pytest.mark.slow
class TestIdentity(ActivationContract):
    def make(self):
        return "identity"
