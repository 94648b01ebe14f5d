"""What an architecture is: one description that builds a finite torch network and an infinite-width kernel."""

import copy
import inspect
import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor, nn

from lightning_gantk.architectures import limit
from lightning_gantk.architectures.activations import Activation
from lightning_gantk.architectures.layers import Layer, LayerNorm, Pointwise, Serial, Shape, Sum
from lightning_gantk.checks import in_words, sample_shape, whole
from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel


class Network(Protocol):
    """Any torch module that maps samples ``(N, ...)`` to scores ``(N,)`` or ``(N, 1)``.

    A protocol, so that the command line takes every such module by its class path, and its help does not list the
    hundreds of modules that torch comes with. It compares types by name: hence none here.

    Examples:
        >>> from torch import nn
        >>> from lightning_gantk import FiniteDiscriminator, LSGAN
        >>> network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        >>> discriminator = FiniteDiscriminator(network, LSGAN(), steps=1, time=0.1)
    """

    def forward(self, x: Any, /) -> Any:
        """The scores."""


class Architecture(ABC):
    """A network described once.

    A subclass keeps its constructor's arguments under their own names and lists its layers in ``layers``; everything
    else is made from that list. The last layer has one output and no bias, so that the kernel is that of a scalar.

    Attributes:
        usual_width: Units (channels) of the hidden layers of a finite network for which nobody names a width.

    Examples:
        >>> import torch
        >>> from lightning_gantk.architectures import Architecture
        >>> from lightning_gantk.architectures.activations import Activation
        >>> from lightning_gantk.architectures.layers import Dense, Flatten, Pointwise
        >>> class OneLayer(Architecture):
        ...     def layers(self):
        ...         return Flatten(), Dense(1.0, 1.0), Pointwise(Activation("relu")), Dense(1.0, None, 1)
        >>> OneLayer().network(width=8, in_shape=(3,))(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    usual_width: int = 512

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the samples to the single output."""

    def check(self, in_shape: Shape) -> None:
        """Refuses samples of a shape that the architecture cannot take.

        Raises:
            ConfigError: If ``in_shape`` does not fit.
        """

    def network(self, width: int, in_shape: Shape, *, antisymmetric: bool = False) -> nn.Module:
        """The finite torch network, drawn from torch's global generator.

        Args:
            width: Units (channels) of every hidden layer.
            in_shape: Shape of one sample, ``(C, H, W)`` or ``(d,)``.
            antisymmetric: Start at f_0 = 0 by half the difference of two equal copies, see ``AntisymmetricPair``.

        Returns:
            A module that maps ``(N, *in_shape)`` to scores ``(N,)``.

        Raises:
            ConfigError: If the width is not positive or ``in_shape`` does not fit.
        """
        whole("width", width)
        in_shape = sample_shape("in_shape", in_shape)
        self.check(in_shape)
        body, _ = Serial(self.layers()).build(in_shape, width)
        network = ScalarNetwork(body)
        return AntisymmetricPair(network) if antisymmetric else network

    def kernel(self, kind: Literal["ntk", "nngp"] = "ntk") -> "Kernel":
        """The infinite-width kernel, in JAX.

        Args:
            kind: The neural tangent kernel ("ntk") or that of the Gaussian process at initialisation ("nngp").

        Returns:
            A callable: ``kernel(x, y)`` gives the ``(N, M)`` Gram matrix of vectors ``(N, d)`` or images ``(N, H, W,
            C)``.

        Raises:
            ConfigError: If JAX or neural-tangents cannot be used, or ``kind`` is unknown.
        """
        return limit.kernel_of(self, kind)

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def after_activation(
    activations: tuple[Activation, ...], *layers: Layer, layer_norm: bool = False
) -> tuple[Layer, ...]:
    """``(LayerNorm,) activation, layers``; several activations make a sum of parallel branches with their own
    layers.
    """
    branches = tuple(Serial((Pointwise(activation), *layers)) for activation in activations)
    norm = (LayerNorm(),) if layer_norm else ()
    return (*norm, *branches[0].layers) if len(branches) == 1 else (*norm, Sum(branches))


def check_deviation(name: str, value: float | None, *, positive: bool) -> None:
    """Refuses a standard deviation that is negative, not finite, or 0 where it must not be."""
    if value is None and not positive:
        return
    fits = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf
    if not fits or (positive and value == 0):
        allowed = "positive" if positive else "null (no bias) or at least 0"
        raise ConfigError(f"{name!r} must be {allowed}, got {in_words(value)}.")


class ScalarNetwork(nn.Module):
    """A network with one output, which it gives as ``(N,)``."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).squeeze(-1)


class AntisymmetricPair(nn.Module):
    """``(f(x) - g(x)) / sqrt(2)`` with g a copy of f at initialisation: starts at 0, with the NTK of f.

    The antisymmetrical initialisation of Zhang et al., "A type of generalization error induced by initialization in
    deep neural networks", 2020. It gives a finite network the f_0 = 0 of the infinite regime, at twice the cost.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.plus, self.minus = network, copy.deepcopy(network)

    def forward(self, x: Tensor) -> Tensor:
        return (self.plus(x) - self.minus(x)) / math.sqrt(2)
