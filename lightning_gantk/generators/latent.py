"""Where a generator's latent samples come from."""

from typing import Literal, get_args

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError

Distribution = Literal["normal", "uniform"]


class LatentSampler:
    """Independent coordinates: standard normal, or uniform on [-1, 1).

    Args:
        dim: Number of coordinates.
        distribution: "normal" or "uniform".

    Raises:
        ConfigError: If ``dim`` is not positive or the distribution is unknown.
    """

    def __init__(self, dim: int, distribution: Distribution = "normal"):
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ConfigError(f"'latent_dim' must be a positive whole number, got {dim!r}.")
        if distribution not in get_args(Distribution):
            raise ConfigError(f"'latent' must be 'normal' or 'uniform', got {distribution!r}.")
        self.dim, self.distribution = dim, distribution

    def __call__(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``(n, dim)`` float32 samples; see ``Generator.latent``."""
        source = device if generator is None else generator.device
        if self.distribution == "normal":
            latent = torch.randn(n, self.dim, device=source, generator=generator)
        else:
            latent = torch.rand(n, self.dim, device=source, generator=generator).mul_(2).sub_(1)
        return latent.to(device) if device is not None else latent

    def __repr__(self) -> str:
        return f"{self.dim}-dimensional {self.distribution}"
