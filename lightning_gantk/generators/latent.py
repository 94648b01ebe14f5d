"""Where a generator's latent samples come from."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from lightning_gantk.checks import in_words, whole
from lightning_gantk.errors import ConfigError

Distribution = Literal["normal", "uniform"]


class LatentSampler:
    """Independent coordinates: standard normal, or uniform on [-1, 1).

    Args:
        dim: Number of coordinates.
        distribution: "normal" or "uniform".
        classes: How many classes there are: a latent then has so many coordinates more, 1 in that of its class and 0 in
            the others.

    Attributes:
        size: Coordinates of a latent, those of the class included.

    Raises:
        ConfigError: If ``dim`` is not positive or the distribution is unknown.

    Examples:
        >>> import torch
        >>> from lightning_gantk.generators import LatentSampler
        >>> LatentSampler(16, "uniform")(5, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 16])
    """

    def __init__(self, dim: int, distribution: Distribution = "normal", classes: int | None = None):
        whole("latent_dim", dim)
        if distribution not in get_args(Distribution):
            raise ConfigError(f"'latent' must be 'normal' or 'uniform', got {distribution!r}.")
        self.dim, self.distribution, self.classes = dim, distribution, classes
        self.size = dim + (classes or 0)

    def __call__(
        self,
        n: int,
        *,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Draws ``(n, size)`` float32 samples; see ``Generator.latent``. Classes not given go round in turn."""
        source = device if generator is None else generator.device
        if self.distribution == "normal":
            latent = torch.randn(n, self.dim, device=source, generator=generator)
        else:
            latent = torch.rand(n, self.dim, device=source, generator=generator).mul_(2).sub_(1)
        if self.classes is not None:
            known = checked_labels(labels, n, self.classes).to(latent.device)
            latent = torch.cat([latent, one_hot(known, self.classes).to(latent.dtype)], dim=1)
        return latent.to(device) if device is not None else latent

    def check(self, latent: Tensor) -> None:
        """Refuses latents that are not ``(n, size)`` floating-point numbers, with a ConfigError."""
        fits = isinstance(latent, Tensor) and latent.ndim == 2 and latent.shape[1] == self.size
        if not fits or not latent.is_floating_point():
            of_class = f", {self.classes} of them of the class" if self.classes else ""
            found = f"{latent.dtype} {tuple(latent.shape)}" if isinstance(latent, Tensor) else in_words(latent)
            raise ConfigError(
                f"Latents must be a tensor (n, {self.size}) of floating-point numbers{of_class}, got {found}: "
                "latent(n) of the generator draws them."
            )

    def labels(self, latent: Tensor) -> Tensor:
        """The classes ``(n,)`` of latents ``(n, size)``."""
        return latent[:, self.dim :].argmax(dim=1)

    def __repr__(self) -> str:
        return f"{self.dim}-dimensional {self.distribution}"


def checked_labels(labels: Tensor | None, n: int, classes: int) -> Tensor:
    """Classes of ``n`` samples, those given or all in turn.

    Raises:
        ConfigError: If there are more or fewer than samples, or one is no class.
    """
    if labels is None:
        return torch.arange(n) % classes
    if labels.shape != (n,):
        raise ConfigError(f"'labels' must be one class for each of {n} samples, got shape {tuple(labels.shape)}.")
    if n and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ConfigError(
            f"Labels must lie between 0 and {classes - 1}, got {int(labels.min())} to {int(labels.max())}: set the "
            "generator's 'classes' to the number of classes."
        )
    return labels.long()
