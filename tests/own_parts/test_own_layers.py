"""A user's own activation and a user's own layer with a kink, outside the package, in every backend."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import pytest
import torch
from torch import nn

from lightning_gantk.architectures import register_activation
from lightning_gantk.architectures.activations import Activation
from lightning_gantk.architectures.layers import Layer, Pointwise
from lightning_gantk.kernels.recursions import Dual, DualPair, marginals, pixelwise, register_dual
from lightning_gantk.testing import ActivationContract, LayerContract


def quadratic(x, a, b):
    return a * x + b * x**2


class Quadratic(Dual):
    """``a u + b u^2``: moments of a Gaussian, ``E u_x^2 u_p^2 = q_x q_p + 2 k^2``."""

    def __init__(self, a, b):
        self.a2, self.b2 = a * a, b * b

    def variance(self, q):
        return self.a2 * q + 3 * self.b2 * q * q

    def side(self, q):
        return q, jnp.sqrt(q)

    def pair(self, v, gap, x, p):
        total, apart = x[0] + p[0], gap * (x[1] + p[1])  # q_x + q_p and q_x - q_p
        distance = self.a2 * v + self.b2 * (2 * apart * apart + 2 * v * total - v * v)
        slope = self.a2 + 2 * self.b2 * (total - v)

        def by_variance(gap, x, p):
            return self.b2 * (4 * gap * (x[1] + p[1]) + 2 * v), jnp.full_like(v, 2 * self.b2)

        return DualPair(distance, slope, jnp.full_like(v, -2 * self.b2), by_variance)

    def difference(self, difference, x, p):
        return difference * (self.a2 + 3 * self.b2 * (x[0] + p[0]))


register_activation("own_quadratic", quadratic, kinked=False, a=1.0, b=0.3)
register_dual("own_quadratic", Quadratic)


class TestQuadratic(ActivationContract):
    backends = ("jax", "native")
    largest = 1e3  # two layers of squares: the kernel grows as the eighth power of the samples

    def make(self):
        return {"name": "own_quadratic", "b": 0.2}


@pytest.mark.slow
class TestQuadraticOfImages(TestQuadratic):
    shapes = ((1, 6, 6),)


class Absolute(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale * torch.abs(x)


@dataclass(frozen=True)
class Fold(Layer):
    """``scale |x|``: it says nothing of its kink, and is taken to have one."""

    scale: float = 1.2

    def build(self, in_shape, width):
        return Absolute(self.scale), in_shape


_ABS = Pointwise(Activation("abs"))


@marginals.register
def _(layer: Fold, q, tape):
    return layer.scale**2 * marginals(_ABS, q, tape)


@pixelwise.register
def _(layer: Fold, state, x, p):
    state, scale = pixelwise(_ABS, state, x, p), layer.scale**2
    theta = None if state.theta is None else scale * state.theta
    difference = None if state.difference is None else scale * state.difference
    return replace(state, v=scale * state.v, theta=theta, difference=difference)


class TestFold(LayerContract):
    backends = ("jax", "native")

    def make(self):
        return Fold()


@pytest.mark.slow
class TestFoldOfImages(TestFold):
    shapes = ((2, 6, 6),)
