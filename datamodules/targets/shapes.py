"""Curves in the plane, with noise."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.targets.base import Target
from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError


class TwoMoons(Target):
    """Two half circles that reach into each other, around 0.

    Args:
        radius: Of each half circle.
        noise: Standard deviation around it.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> import torch
        >>> from datamodules.targets import TwoMoons
        >>> TwoMoons().sample(5, torch.Generator()).shape
        torch.Size([5, 2])
    """

    @property
    def dim(self) -> int:
        return 2

    def __init__(self, radius: float = 2.0, noise: float = 0.1):
        number("radius", radius, positive=True)
        number("noise", noise)
        self.radius, self.noise = radius, noise

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        angle = math.pi * torch.rand(n, generator=generator)
        sign = torch.where(torch.rand(n, generator=generator) < 0.5, 1.0, -1.0)
        # The upper moon around (-1/2, -1/4), the lower one around (1/2, 1/4), in radii.
        x, y = sign * (torch.cos(angle) - 0.5), sign * (torch.sin(angle) - 0.25)
        return self.radius * torch.stack([x, y], 1) + self.noise * torch.randn(n, 2, generator=generator)


class Rings(Target):
    """Circles around 0, each as likely as it is long.

    Args:
        radii: Of the circles.
        noise: Standard deviation around them.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> import torch
        >>> from datamodules.targets import Rings
        >>> Rings(radii=[2.0], noise=0.0).sample(3, torch.Generator()).norm(dim=1).round(decimals=4).tolist()
        [2.0, 2.0, 2.0]
    """

    @property
    def dim(self) -> int:
        return 2

    def __init__(self, radii: Sequence[float] = (1.0, 3.0, 5.0), noise: float = 0.1):
        if not radii:
            raise ConfigError("'radii' must name at least one circle, got none.")
        for radius in radii:
            number("radii", radius, positive=True)
        number("noise", noise)
        self.radii, self.noise = radii, noise

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        radii = torch.tensor(list(self.radii), dtype=torch.float32)
        radius = radii[torch.multinomial(radii, n, replacement=True, generator=generator)]
        angle = 2 * math.pi * torch.rand(n, generator=generator)
        circle = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
        return circle + self.noise * torch.randn(n, 2, generator=generator)
