"""Generators of noise: what generators share whose latents are independent noise coordinates."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.latent import Distribution, LatentSampler


class NoiseGenerator(Generator):
    """A generator whose latents are ``(n, latent_dim)`` numbers, and of one with classes K more, see ``LatentSampler``.

    One of your own implements ``forward``.

    Args:
        out_shape: Shape of one sample, ``(C, H, W)`` or ``(d,)``.
        latent_dim: Number of latent coordinates.
        latent: "normal" or "uniform".
        classes: How many classes; None where samples have none.
    """

    def __init__(
        self, *, out_shape: Sequence[int], latent_dim: int, latent: Distribution = "normal", classes: int | None = None
    ):
        super().__init__(out_shape=out_shape, classes=classes)
        self.latent_sampler = LatentSampler(latent_dim, latent, classes)

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.latent_sampler(n, device=device, generator=generator)

    def latent_of(
        self, labels: Tensor, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.latent_sampler(len(labels), device=device, generator=generator, labels=labels)

    def labels(self, latent: Tensor) -> Tensor:
        return self.latent_sampler.labels(latent)
