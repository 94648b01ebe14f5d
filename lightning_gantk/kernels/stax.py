"""The layers of an architecture in neural-tangents' terms: what it works out where no recursion here does, and what
the tests compare with.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lightning_gantk.architectures.activations import SIGMOID_SCALE
from lightning_gantk.architectures.layers import (
    Conv,
    Dense,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    Pointwise,
    Serial,
    Sum,
)
from lightning_gantk.architectures.standard import Standard
from lightning_gantk.errors import ConfigError

StaxLayer = Any  # (init_fn, apply_fn, kernel_fn)

_ACTIVATIONS: dict[str, Callable[..., StaxLayer]] = {
    "relu": lambda stax: stax.Relu(),
    "leaky_relu": lambda stax, alpha: stax.LeakyRelu(alpha),
    "gelu": lambda stax: stax.Gelu(approximate=False),
    "erf": lambda stax, a, b, c: stax.Erf(a, b, c),
    "sin": lambda stax, a, b, c: stax.Sin(a, b, c),
    "abs": lambda stax: stax.Abs(),
    "sigmoid_like": lambda stax: stax.Erf(0.5, 1 / SIGMOID_SCALE, 0.5),
    "rbf": lambda stax, gamma: stax.Rbf(gamma),
    "identity": lambda stax: stax.Identity(),
}


def register_stax(name: str, layer: Callable[..., StaxLayer]) -> None:
    """Says what an activation is in neural-tangents.

    Args:
        name: As given to ``architectures.register_activation``.
        layer: ``layer(stax, **parameters)``, given the module ``neural_tangents.stax``.
    """
    _ACTIVATIONS[name] = layer


@functools.singledispatch
def stax_layer(layer: Layer, stax: ModuleType) -> StaxLayer:
    """A layer as ``(init_fn, apply_fn, kernel_fn)`` of ``neural_tangents.stax``; layers of your own register theirs.

    Raises:
        ConfigError: If it is not known here.
    """
    raise ConfigError(
        f"{type(layer).__name__} has no kernel: register it with kernels.recursions (marginals, and pixelwise or "
        "pairs), or what it is in neural-tangents with kernels.stax.stax_layer."
    )


@stax_layer.register
def _(layer: Dense, stax: ModuleType) -> StaxLayer:
    return stax.Dense(layer.features or 1, layer.W_std, layer.b_std)


@stax_layer.register
def _(layer: Conv, stax: ModuleType) -> StaxLayer:
    square = (layer.kernel_size, layer.kernel_size)
    return stax.Conv(1, square, (layer.stride, layer.stride), "SAME", layer.W_std, layer.b_std)


@stax_layer.register
def _(layer: Pointwise, stax: ModuleType) -> StaxLayer:
    activation = layer.activation
    if activation.name not in _ACTIVATIONS:
        raise ConfigError(
            f"Activation {activation.name!r} has no kernel: give its dual to kernels.recursions.register_dual, or its "
            "layer of neural-tangents to kernels.stax.register_stax."
        )
    return _ACTIVATIONS[activation.name](stax, **dict(activation.parameters))


@stax_layer.register
def _(layer: LayerNorm, stax: ModuleType) -> StaxLayer:
    return stax.LayerNorm()


@stax_layer.register
def _(layer: Flatten, stax: ModuleType) -> StaxLayer:
    return stax.Flatten()


@stax_layer.register
def _(layer: GlobalAveragePool, stax: ModuleType) -> StaxLayer:
    return stax.GlobalAvgPool()


@stax_layer.register
def _(layer: Serial, stax: ModuleType) -> StaxLayer:
    return stax.serial(*(stax_layer(inner, stax) for inner in layer.layers))


@stax_layer.register
def _(layer: Sum, stax: ModuleType) -> StaxLayer:
    branches = [stax_layer(branch, stax) for branch in layer.branches]
    return stax.serial(stax.FanOut(len(branches)), stax.parallel(*branches), stax.FanInSum())


@stax_layer.register
def _(layer: Standard, stax: ModuleType) -> StaxLayer:
    if layer.base_width is None:
        raise ConfigError(
            "The kernel of the standard parameterization grows with the width and has no limit: set 'base_width' "
            "to the width of the finite network that it stands for."
        )
    inner = layer.layer
    if isinstance(inner, Dense):
        features = inner.features or layer.base_width
        return stax.Dense(features, inner.W_std, inner.b_std, parameterization="standard")
    window, strides = (inner.kernel_size,) * 2, (inner.stride,) * 2
    options = {"W_std": inner.W_std, "b_std": inner.b_std, "parameterization": "standard"}
    return stax.Conv(layer.base_width, window, strides, "SAME", **options)
