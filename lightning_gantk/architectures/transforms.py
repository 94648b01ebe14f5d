"""A function of the samples before the first layer, in both regimes."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lightning_gantk.architectures.base import Architecture
from lightning_gantk.architectures.layers import Layer, Shape
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError

Transform = Literal["identity", "tanh", "atanh"]
LIMIT = 1 - 1e-6  # atanh of larger numbers is that of this one, 7.25, with derivative 0

_FUNCTIONS = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "atanh": lambda x: torch.atanh(x.clamp(-LIMIT, LIMIT)),
}


class Transformed(Architecture):
    """Another architecture, of ``h(x)`` in the place of ``x``: the finite network and the kernel see the same.

    ``tanh`` keeps far samples within reach; ``atanh`` undoes the tanh of a generator, and takes coordinates at or
    beyond 1 - 1e-6 as that number, where no gradient passes.

    Args:
        architecture: What follows.
        transform: h, acting on every coordinate: "tanh", "atanh" or "identity".

    Raises:
        ConfigError: If the transform is unknown.

    Examples:
        >>> import torch
        >>> from lightning_gantk.architectures import MLP, Transformed
        >>> network = Transformed(MLP(1), "tanh").network(width=8, in_shape=(2,))
        >>> far, further = torch.full((1, 2), 50.0), torch.full((1, 2), 60.0)
        >>> bool(network(far) == network(further))
        True
    """

    def __init__(self, architecture: Architecture, transform: Transform = "tanh"):
        check_transform(transform)
        if not isinstance(architecture, Architecture):
            found = in_words(architecture)
            raise ConfigError(f"Transformed takes an architecture, TransformedKernel a kernel; got {found}.")
        self.architecture = architecture
        self.transform: Transform = transform
        self.usual_width = architecture.usual_width

    def layers(self) -> tuple[Layer, ...]:
        """The layers after the transform."""
        return self.architecture.layers()

    def check(self, in_shape: Shape) -> None:
        self.architecture.check(in_shape)

    def network(self, width: int, in_shape: Shape, *, antisymmetric: bool = False) -> nn.Module:
        inner = self.architecture.network(width, in_shape, antisymmetric=antisymmetric)
        return nn.Sequential(_Pointwise(self.transform), inner)


class _Pointwise(nn.Module):
    def __init__(self, transform: Transform):
        super().__init__()
        self.transform = transform

    def forward(self, x: Tensor) -> Tensor:
        return _FUNCTIONS[self.transform](x)

    def extra_repr(self) -> str:
        return self.transform


def check_transform(transform: str) -> None:
    """Refuses a transform that does not exist."""
    if transform not in get_args(Transform):
        raise ConfigError(f"'transform' must be one of {', '.join(get_args(Transform))}, got {transform!r}.")
