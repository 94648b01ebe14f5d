"""Architectures find their kernels in a registry that the kernels fill."""

import pytest

from lightning_gantk.architectures import MLP, Transformed, limit
from lightning_gantk.kernels import RBF, TransformedKernel
from lightning_gantk.kernels.architecture import ArchitectureKernel


class Mine(MLP):
    """No kernel is registered for it."""


class Other(MLP):
    """One will be."""


def test_kernel_is_that_of_the_nearest_class_above():
    kernel = Mine(hidden_layers=1).kernel("nngp")
    assert type(kernel) is ArchitectureKernel and kernel.kind == "nngp"
    kernel = Transformed(Mine(hidden_layers=1), "tanh").kernel("nngp")
    assert type(kernel) is TransformedKernel and kernel.transform == "tanh" and kernel.kernel.kind == "nngp"


def test_own_kernel_can_be_registered():
    limit.registered.register(Other, lambda architecture, kind: RBF(gamma=architecture.W_std))
    assert Other(hidden_layers=1, W_std=3.0).kernel().gamma == 3.0


def test_what_is_no_architecture_is_refused():
    with pytest.raises(TypeError, match="int is no architecture"):
        limit.kernel_of(3, "ntk")
