"""A generator around any torch module."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.latent import Distribution
from lightning_gantk.generators.noise import NoiseGenerator


class FromModule(NoiseGenerator):
    """Any torch module that maps latents ``(n, latent_dim)`` to samples.

    Args:
        module: It. What it gives is put into ``out_shape``.
        out_shape: ``(d,)`` for vectors, ``(C, H, W)`` for images, which lie in [-1, 1].
        latent_dim: Number of latent coordinates.
        latent: "normal" or "uniform".
        classes: How many classes, where each sample is to be of one: the module then takes latents with so many
            coordinates more, 1 in that of the class and 0 in the others.

    Raises:
        ConfigError: If an argument is not one of those allowed; from ``forward``: if what the module gives has another
            size.

    Examples:
        >>> from torch import nn
        >>> from lightning_gantk.generators import FromModule
        >>> generator = FromModule(nn.Linear(4, 2), out_shape=(2,), latent_dim=4)
        >>> generator(generator.latent(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        out_shape: Sequence[int],
        latent_dim: int,
        *,
        latent: Distribution = "normal",
        classes: int | None = None,
    ):
        super().__init__(out_shape=out_shape, latent_dim=latent_dim, latent=latent, classes=classes)
        if not isinstance(module, nn.Module):
            raise ConfigError(f"'module' must be a torch module, got {in_words(module)}.")
        self.module = module

    def forward(self, latent: Tensor) -> Tensor:
        self.latent_sampler.check(latent)
        samples = self.module(latent)
        if samples[0].numel() != torch.Size(self.out_shape).numel():
            raise ConfigError(
                f"The module gives samples of shape {tuple(samples.shape[1:])}, and out_shape is {self.out_shape}."
            )
        samples = samples.reshape(-1, *self.out_shape)
        return samples.contiguous(memory_format=torch.channels_last) if samples.ndim == 4 else samples
