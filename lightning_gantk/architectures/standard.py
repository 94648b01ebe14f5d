"""The standard parameterization: weights carry their scale, as in a plain torch network.

Weights are drawn from ``N(0, W_std^2 / fan_in)``, biases from ``N(0, b_std^2)``, and the layer multiplies by nothing.
The function at initialisation is that of the NTK parameterization; training is not: the gradient of a layer's weights
is ``sqrt(fan_in) / W_std`` times larger, that of its biases ``1 / b_std`` times, so that the NTK grows like the width
and a learning rate has to fall like 1 / width.

``base_width`` N keeps that in bounds as the width n grows (Sohl-Dickstein et al., "On the infinite width limit of
neural networks with a standard parameterization", 2020; neural-tangents' convention with ``s = n / N``): hidden fan-ins
count as those of width N, and the layer divides by ``sqrt(n / N)``. At n = N it is the plain network. At other widths
its NTK is near that of width N and tends to the kernel as n grows: a learning rate means what it means at width N, and
``NTKDiscriminator(time=t)`` stands for gradient steps with learning rate x steps = t in that convention.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from lightning_gantk.architectures.layers import Conv, Dense, Layer, NTKConv, NTKDense, Serial, Shape, Sum
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

Parameterization = Literal["ntk", "standard"]


@dataclass(frozen=True)
class Standard(Layer):
    """A Dense or Conv layer in the standard parameterization.

    Attributes:
        layer: The layer in the NTK parameterization.
        base_width: N; None for the width of the network itself.
        first: Whether it reads samples, whose number of coordinates does not grow with the width.
    """

    layer: Dense | Conv
    base_width: int | None
    first: bool

    @property
    def children(self) -> tuple[Layer, ...]:
        return (self.layer,)

    @property
    def cusp(self) -> bool:
        return self.layer.cusp

    def build(self, in_shape: Shape, width: int) -> tuple[nn.Module, Shape]:
        module, shape = self.layer.build(in_shape, width)
        growth = 1.0 if self.first or self.base_width is None else width / self.base_width
        if isinstance(module, NTKDense | NTKConv):
            _standardise(module, growth)
        return module, shape


def parameterized(
    layers: tuple[Layer, ...], parameterization: Parameterization, base_width: int | None
) -> tuple[Layer, ...]:
    """The layers in a parameterization.

    Args:
        layers: In the NTK parameterization.
        parameterization: "ntk" changes nothing.
        base_width: Of the standard parameterization.
    """
    if parameterization == "ntk":
        return layers
    return _all_converted(layers, base_width, first=True)[0]


def check_parameterization(parameterization: str, base_width: int | None) -> None:
    """Refuses a parameterization that does not exist, and a base width that is out of place."""
    if parameterization not in ("ntk", "standard"):
        raise ConfigError(f"'parameterization' must be 'ntk' or 'standard', got {parameterization!r}.")
    if base_width is None:
        return
    if parameterization == "ntk":
        raise ConfigError(f"'base_width' belongs to the standard parameterization: set it to null, got {base_width}.")
    whole("base_width", base_width)


def _converted(layer: Layer, base_width: int | None, *, first: bool) -> tuple[Layer, bool]:
    """The layer in the standard parameterization, and whether what follows it still reads samples."""
    if isinstance(layer, Dense | Conv):
        return Standard(layer, base_width, first), False
    if isinstance(layer, Serial):
        layers, first = _all_converted(layer.layers, base_width, first=first)
        return Serial(layers), first
    if isinstance(layer, Sum):
        branches = [_converted(branch, base_width, first=first) for branch in layer.branches]
        return Sum(tuple(branch for branch, _ in branches)), all(still for _, still in branches)
    return layer, first


def _all_converted(layers: tuple[Layer, ...], base_width: int | None, *, first: bool) -> tuple[tuple[Layer, ...], bool]:
    """The same of layers one after the other."""
    converted = []
    for layer in layers:
        inner, first = _converted(layer, base_width, first=first)
        converted.append(inner)
    return tuple(converted), first


@torch.no_grad()
def _standardise(module: NTKDense | NTKConv, growth: float) -> None:
    """Moves the scales of a layer into its parameters, but for 1 / sqrt(growth)."""
    module.weight.mul_(module.scale * math.sqrt(growth))
    module.scale = 1 / math.sqrt(growth)
    if module.bias is not None and module.b_std is not None:
        module.bias.mul_(module.b_std)
        module.b_std = 1.0
