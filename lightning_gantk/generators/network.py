"""A finite generator of an architecture, whose limit at infinite width is known."""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_gantk.architectures import Architecture
from lightning_gantk.architectures.base import AntisymmetricPair
from lightning_gantk.architectures.layers import Dense, Layer, Serial, Sum
from lightning_gantk.checks import in_words, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.latent import LatentSampler
from lightning_gantk.generators.start_map import StartMap, shaped


class NetworkGenerator(Generator):
    """``g(z) = g_0(z) + network(z)``, the network that of an architecture with d outputs, which starts at 0.

    In the NTK parameterization and under plain gradient descent it tends to ``NTKGenerator`` with the same architecture
    and g_0 as the width grows: both sides of a GAN can be finite or infinite. It starts at g_0 by the difference of
    two equal copies, at twice the cost.

    Args:
        architecture: On vectors of latents. The features of its last layer become those of a sample.
        width: Units of every hidden layer; None for the architecture's usual ones.
        latent_dim: Number of latent coordinates; latents are standard normal.
        out_shape: ``(d,)`` or ``(C, H, W)``; unbounded.
        start_scale: Of ``StartMap``, g_0.
        seed: Of ``StartMap``; the network is drawn from torch's global generator.

    Raises:
        ConfigError: If an argument is not one of those allowed, or the architecture does not end in a Dense layer.

    Examples:
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.generators import NetworkGenerator
        >>> generator = NetworkGenerator(MLP(1), width=16, latent_dim=4, out_shape=(2,))
        >>> generator(generator.latent(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        architecture: Architecture,
        width: int | None = None,
        latent_dim: int = 16,
        out_shape: Sequence[int] = (2,),
        *,
        start_scale: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(out_shape=out_shape)
        if not isinstance(architecture, Architecture):
            raise ConfigError(f"'architecture' must be an architecture such as MLP(), got {in_words(architecture)}.")
        width = architecture.usual_width if width is None else width
        whole("width", width)
        self.latent_sampler = LatentSampler(latent_dim)
        architecture.check((latent_dim,))
        outputs = math.prod(self.out_shape)
        self.initial = StartMap(latent_dim, outputs, start_scale, seed)
        layers = _with_outputs(Serial(tuple(architecture.layers())), outputs, architecture)
        self.network: nn.Module = AntisymmetricPair(layers.build((latent_dim,), width)[0])
        self.description = repr(architecture)

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.latent_sampler(n, device=device, generator=generator)

    def forward(self, latent: Tensor) -> Tensor:
        self.latent_sampler.check(latent)
        return shaped(self.initial(latent) + self.network(latent), self.out_shape)

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, latent={self.latent_sampler}, {self.description}"


def _with_outputs(layer: Layer, outputs: int, architecture: Architecture) -> Layer:
    """The layer with as many features at its end."""
    if isinstance(layer, Dense):
        return dataclasses.replace(layer, features=outputs)
    if isinstance(layer, Serial) and layer.layers:
        return Serial((*layer.layers[:-1], _with_outputs(layer.layers[-1], outputs, architecture)))
    if isinstance(layer, Sum):
        return Sum(tuple(_with_outputs(branch, outputs, architecture) for branch in layer.branches))
    raise ConfigError(
        f"NetworkGenerator needs an architecture whose last layer is Dense, in the NTK parameterization; "
        f"{architecture!r} ends in {type(layer).__name__}."
    )
