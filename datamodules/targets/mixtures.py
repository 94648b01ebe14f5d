"""Mixtures of Gaussians that have one standard deviation in all directions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.targets.base import Target, positive, whole
from lightning_gantk.errors import ConfigError


class GaussianMixture(Target):
    """Gaussians at given centres; with ``std=0`` a set of atoms.

    Args:
        means: Centres: a list of numbers for 1-D modes, or a list of points.
        std: Standard deviation of every mode, in each coordinate.
        weights: Probability of each mode, up to a factor; equal where none are given.

    Raises:
        ConfigError: If the centres do not have one dimension, or a number is out of range.
    """

    def __init__(
        self,
        means: Sequence[float] | Sequence[Sequence[float]],
        std: float = 0.5,
        weights: Sequence[float] | None = None,
    ):
        try:
            modes = torch.as_tensor(means, dtype=torch.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"'means' must list numbers, or points of one dimension: {error}.") from error
        if modes.ndim not in (1, 2) or modes.numel() == 0 or not modes.isfinite().all():
            raise ConfigError(f"'means' must list at least one finite number or point, got {means!r}.")
        positive("std", std, or_zero=True)
        if weights is not None and (len(weights) != len(modes) or min(weights) < 0 or not sum(weights) > 0):
            raise ConfigError(f"'weights' must hold {len(modes)} numbers of at least 0, got {weights!r}.")
        self.means, self.std, self.weights = means, std, weights
        self.modes, self.mode_std = modes.view(len(modes), -1), float(std)

    @property
    def dim(self) -> int:
        return self.modes.shape[1]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        odds = torch.ones(len(self.modes)) if self.weights is None else torch.as_tensor(self.weights).float()
        chosen = torch.multinomial(odds, n, replacement=True, generator=generator)
        return self.modes[chosen] + self.std * torch.randn(n, self.dim, generator=generator)


class GaussianRing(GaussianMixture):
    """Gaussians evenly on a circle; the "8 Gaussians" by default. In 1-D: evenly from -radius to radius.

    Args:
        modes: How many.
        radius: Of the circle.
        std: Standard deviation of every mode.
        dim: 1 or 2.

    Raises:
        ConfigError: If a number is out of range.
    """

    def __init__(self, modes: int = 8, radius: float = 5.0, std: float = 0.5, dim: int = 2):
        whole("modes", modes)
        positive("radius", radius, or_zero=True)
        if dim not in (1, 2):
            raise ConfigError(f"'dim' must be 1 or 2, got {dim!r}; RandomMixture has any dimension.")
        if dim == 1:
            means = [0.0] if modes == 1 else [radius * (2 * k / (modes - 1) - 1) for k in range(modes)]
        else:
            angles = [2 * math.pi * k / modes for k in range(modes)]
            means = [[radius * math.cos(angle), radius * math.sin(angle)] for angle in angles]
        super().__init__(means, std)
        self.radius = radius


class GaussianGrid(GaussianMixture):
    """Gaussians on a square grid around 0; the "25 Gaussians" by default.

    Args:
        side: Modes in a row and in a column.
        spacing: Distance of neighbours.
        std: Standard deviation of every mode.

    Raises:
        ConfigError: If a number is out of range.
    """

    def __init__(self, side: int = 5, spacing: float = 2.0, std: float = 0.05):
        whole("side", side)
        positive("spacing", spacing)
        places = [spacing * (k - (side - 1) / 2) for k in range(side)]
        super().__init__([[x, y] for x in places for y in places], std)
        self.side, self.spacing = side, spacing


class RandomMixture(GaussianMixture):
    """Gaussians in any dimension, in directions drawn once and at one distance from 0.

    Args:
        dim: Number of coordinates.
        modes: How many.
        radius: Distance of the centres from 0.
        std: Standard deviation of every mode, in each coordinate.
        seed: Of the directions.

    Raises:
        ConfigError: If a number is out of range.
    """

    def __init__(self, dim: int = 16, modes: int = 8, radius: float = 5.0, std: float = 0.5, seed: int = 0):
        whole("dim", dim)
        whole("modes", modes)
        whole("seed", seed, 0)
        positive("radius", radius, or_zero=True)
        directions = torch.randn(modes, dim, generator=torch.Generator().manual_seed(seed))
        super().__init__((radius * torch.nn.functional.normalize(directions)).tolist(), std)
        self.radius, self.seed = radius, seed
