"""Layers of an architecture: what they are, and their torch modules in the NTK parameterization.

In the NTK parameterization (Jacot et al., 2018) every weight and bias is drawn from N(0, 1), and the layer multiplies
by ``W_std / sqrt(fan_in)`` and ``b_std``. The network's NTK then has a limit as the width grows, and a learning rate
keeps its meaning at every width. What a layer is there, at infinite width, is said in ``kernels.recursions``.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_gantk.architectures.activations import Activation

Shape = tuple[int, ...]


class Layer(ABC):
    """A layer. One of your own builds its module; what its kernel is, ``kernels.recursions`` is told.

    Attributes:
        cusp: Whether its kernel may have a cusp at equal samples, as ReLU's has. A layer that does not say is taken to
            have one: near samples are then worked out from exact differences, which a smooth kernel can do without.
        children: The layers that it is made of.
    """

    @property
    def cusp(self) -> bool:
        return True

    @property
    def children(self) -> "tuple[Layer, ...]":
        return ()

    @abstractmethod
    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        """The torch module for samples of ``in_shape``, and the shape that it gives."""

    def walk(self) -> "Iterator[Layer]":
        """The layer and all that it is made of."""
        yield self
        for child in self.children:
            yield from child.walk()


class SmoothLayer(Layer):
    """A layer that brings no cusp."""

    @property
    def cusp(self) -> bool:
        return False


@dataclass(frozen=True)
class Dense(SmoothLayer):
    """Fully connected; ``features=None`` stands for the width of the network, ``b_std=None`` for no bias."""

    W_std: float
    b_std: float | None
    features: int | None = None

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        features = self.features or width
        return NTKDense(in_shape[-1], features, self.W_std, self.b_std), (*in_shape[:-1], features)


@dataclass(frozen=True)
class Conv(SmoothLayer):
    """2-D convolution with zero 'SAME' padding, as XLA defines it; ``b_std=None`` for no bias."""

    kernel_size: int
    stride: int
    W_std: float
    b_std: float | None

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        channels, *size = in_shape
        height, breadth = size
        module = NTKConv(channels, width, self.kernel_size, self.stride, (height, breadth), self.W_std, self.b_std)
        return module, (width, *(math.ceil(s / self.stride) for s in size))


@dataclass(frozen=True)
class Pointwise(Layer):
    """An activation."""

    activation: Activation

    @property
    def cusp(self) -> bool:
        return self.activation.kinked

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        return self.activation.module(), in_shape


@dataclass(frozen=True)
class LayerNorm(SmoothLayer):
    """Normalisation over the features (of each pixel, for images), without trainable scale and shift."""

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        return ChannelNorm(), in_shape


@dataclass(frozen=True)
class Flatten(SmoothLayer):
    """All pixels and channels in one vector."""

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        return nn.Flatten(), (math.prod(in_shape),)


@dataclass(frozen=True)
class GlobalAveragePool(SmoothLayer):
    """The mean over all pixels."""

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (in_shape[0],)


@dataclass(frozen=True)
class Serial(Layer):
    """Layers one after the other."""

    layers: tuple[Layer, ...]

    @property
    def children(self) -> tuple[Layer, ...]:
        return self.layers

    @property
    def cusp(self) -> bool:
        return any(layer.cusp for layer in self.layers)

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        modules = []
        for layer in self.layers:
            module, in_shape = layer.build(in_shape, width)
            modules.append(module)
        return nn.Sequential(*modules), in_shape


@dataclass(frozen=True)
class Sum(Layer):
    """The sum of parallel branches, each with its own weights."""

    branches: tuple[Layer, ...]

    @property
    def children(self) -> tuple[Layer, ...]:
        return self.branches

    @property
    def cusp(self) -> bool:
        return any(layer.cusp for layer in self.branches)

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        built = [branch.build(in_shape, width) for branch in self.branches]
        return SumOf([module for module, _ in built]), built[0][1]


class NTKDense(nn.Module):
    """``y = W_std / sqrt(fan_in) x W^T + b_std b`` with W, b ~ N(0, 1)."""

    def __init__(self, in_features: int, out_features: int, W_std: float, b_std: float | None):
        super().__init__()
        self.scale, self.b_std = W_std / math.sqrt(in_features), b_std
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = None if b_std is None else nn.Parameter(torch.randn(out_features))

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None or self.b_std is None:
            return functional.linear(x, self.weight) * self.scale
        return torch.addmm(self.bias, x, self.weight.t(), beta=self.b_std, alpha=self.scale)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, scale={self.scale:.4g}, b_std={self.b_std}"


class NTKConv(nn.Module):
    """The convolution with W, b ~ N(0, 1), scaled by ``W_std / sqrt(fan_in)`` and ``b_std``; 'SAME' zero padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        size: tuple[int, int],
        W_std: float,
        b_std: float | None,
    ):
        super().__init__()
        self.scale, self.b_std, self.stride = W_std / math.sqrt(in_channels * kernel_size**2), b_std, stride
        # XLA's SAME: ceil(size / stride) outputs, the odd pixel of padding below and to the right.
        total = [max((math.ceil(s / stride) - 1) * stride + kernel_size - s, 0) for s in size]
        (top, bottom), (left, right) = ((t // 2, t - t // 2) for t in total)
        self.symmetric = top == bottom and left == right
        self.padding = (top, left) if self.symmetric else (left, right, top, bottom)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = None if b_std is None else nn.Parameter(torch.randn(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        bias = None if self.bias is None or self.b_std is None else self.bias * self.b_std
        if self.symmetric:
            return functional.conv2d(x, weight, bias, self.stride, self.padding)
        return functional.conv2d(functional.pad(x, self.padding), weight, bias, self.stride)

    def extra_repr(self) -> str:
        out, into, k, _ = self.weight.shape
        return f"{into}, {out}, kernel_size={k}, stride={self.stride}, scale={self.scale:.4g}, b_std={self.b_std}"


class ChannelNorm(nn.Module):
    """Zero mean and unit variance over dimension 1, nothing to train."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-12)


class SumOf(nn.ModuleList):
    """The sum of what its modules give."""

    def forward(self, x: Tensor) -> Tensor:
        return functools.reduce(torch.add, [module(x) for module in self])
