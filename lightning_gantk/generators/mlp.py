"""The fully connected generator, for vectors and images of any size."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn

from lightning_gantk.checks import wholes
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.activations import activated, parse
from lightning_gantk.generators.latent import Distribution
from lightning_gantk.generators.noise import NoiseGenerator


class MLPGenerator(NoiseGenerator):
    """Dense layers with an activation between them.

    Args:
        out_shape: ``(d,)`` for vectors, ``(C, H, W)`` for images.
        latent_dim: Number of latent coordinates.
        hidden: Units of each hidden layer; an empty list gives an affine map.
        activation: As of an architecture: a name, a mapping with ``name`` and parameters, or a list of these, the sum
            of parallel branches; also "silu" and "tanh".
        output: "tanh" keeps every coordinate in [-1, 1], "linear" leaves them free; where none is given, images
            take tanh and vectors linear.
        latent: "normal" or "uniform".
        classes: How many classes, where each sample is to be of one: coordinates of the latent then say which.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> from lightning_gantk import MLPGenerator
        >>> generator = MLPGenerator((2,), latent_dim=4, hidden=(32, 32), activation="silu")
        >>> generator(generator.latent(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        out_shape: Sequence[int] = (2,),
        latent_dim: int = 64,
        hidden: Sequence[int] = (256, 256, 256),
        *,
        activation: str | Mapping[str, Any] | list[str | Mapping[str, Any]] = "relu",
        output: Literal["tanh", "linear"] | None = None,
        latent: Distribution = "normal",
        classes: int | None = None,
    ):
        super().__init__(out_shape=out_shape, latent_dim=latent_dim, latent=latent, classes=classes)
        activations = parse(activation)
        if output not in (None, "tanh", "linear"):
            raise ConfigError(f"'output' must be 'tanh', 'linear' or null, got {output!r}.")
        bounded = output == "tanh" or (output is None and len(self.out_shape) == 3)
        sizes = [self.latent_sampler.size, *wholes("hidden", hidden), math.prod(self.out_shape)]
        layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
        for fan_in, fan_out in pairwise(sizes[1:]):
            layers += activated(activations, lambda into=fan_in, out=fan_out: nn.Linear(into, out))
        self.network = nn.Sequential(*layers, *([nn.Tanh()] if bounded else []))

    def forward(self, latent: Tensor) -> Tensor:
        self.latent_sampler.check(latent)
        flat = self.network(latent)
        if len(self.out_shape) == 1:
            return flat
        channels, height, width = self.out_shape
        # The last layer's units are taken in the order (H, W, C), which is channels-last memory with no copy.
        return flat.view(-1, height, width, channels).movedim(-1, 1)

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, latent={self.latent_sampler}"
