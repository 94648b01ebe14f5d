"""Mixtures of Gaussians that have one standard deviation in all directions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.targets.base import Target
from lightning_gantk.checks import number, whole
from lightning_gantk.errors import ConfigError


class GaussianMixture(Target):
    """Gaussians at given centres; with ``std=0`` a set of atoms.

    Args:
        means: Centres: a list of numbers for 1-D modes, or a list of points.
        std: Standard deviation of every mode, in each coordinate.
        weights: Probability of each mode, up to a factor; equal where none are given.
        in_turn: Sample k is of mode k mod K: K samples are one of each, in the place of a random choice.

    Raises:
        ConfigError: If the centres do not have one dimension, or a number is out of range.

    Examples:
        >>> import torch
        >>> from datamodules.targets import GaussianMixture
        >>> atoms = GaussianMixture([[-1.0], [1.0]], std=0.0, in_turn=True)
        >>> atoms.sample(4, torch.Generator()).flatten().tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        means: Sequence[float] | Sequence[Sequence[float]],
        std: float = 0.5,
        weights: Sequence[float] | None = None,
        *,
        in_turn: bool = False,
    ):
        try:
            modes = torch.as_tensor(means, dtype=torch.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"'means' must list numbers, or points of one dimension: {error}.") from error
        if modes.ndim not in (1, 2) or modes.numel() == 0 or not modes.isfinite().all():
            raise ConfigError(f"'means' must list at least one finite number or point, got {means!r}.")
        number("std", std)
        if weights is not None and (len(weights) != len(modes) or min(weights) < 0 or not sum(weights) > 0):
            raise ConfigError(f"'weights' must hold {len(modes)} numbers of at least 0, got {weights!r}.")
        if in_turn and weights is not None:
            raise ConfigError("'in_turn' takes the modes one after the other: set 'weights' to null.")
        self.means, self.std, self.weights, self.in_turn = means, std, weights, in_turn
        self._centres = modes.view(len(modes), -1)
        self.modes, self.mode_std = self._centres, float(std)

    @property
    def dim(self) -> int:
        return self._centres.shape[1]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        if self.in_turn:
            chosen = torch.arange(n) % len(self._centres)
        else:
            odds = torch.ones(len(self._centres)) if self.weights is None else torch.as_tensor(self.weights).float()
            chosen = torch.multinomial(odds, n, replacement=True, generator=generator)
        return self._centres[chosen] + self.std * torch.randn(n, self.dim, generator=generator)

    def log_density(self, points: Tensor) -> Tensor:
        """``(N,)`` of points ``(N, d)``, differentiable in them.

        Raises:
            ConfigError: If the modes are atoms.
        """
        if not self.std:
            raise ConfigError("A mixture of atoms (std=0) has no density.")
        odds = torch.ones(len(self._centres)) if self.weights is None else torch.as_tensor(self.weights).float()
        squares = (points[:, None] - self._centres.to(points)).square().sum(2)
        volume = self.dim / 2 * math.log(2 * math.pi * self.std**2)
        return torch.logsumexp((odds / odds.sum()).log().to(points) - squares / (2 * self.std**2), 1) - volume


class GaussianRing(GaussianMixture):
    """Gaussians evenly on a circle; the "8 Gaussians" by default. In 1-D: evenly from -radius to radius.

    Args:
        modes: How many.
        radius: Of the circle.
        std: Standard deviation of every mode.
        dim: 1 or 2.
        in_turn: As of ``GaussianMixture``.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> from datamodules.targets import GaussianRing
        >>> GaussianRing(modes=4, radius=2.0).modes.round().abs().tolist()
        [[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, modes: int = 8, radius: float = 5.0, std: float = 0.5, dim: int = 2, *, in_turn: bool = False):
        whole("modes", modes)
        number("radius", radius)
        if dim not in (1, 2):
            raise ConfigError(f"'dim' must be 1 or 2, got {dim!r}; RandomMixture has any dimension.")
        if dim == 1:
            means = [0.0] if modes == 1 else [radius * (2 * k / (modes - 1) - 1) for k in range(modes)]
        else:
            angles = [2 * math.pi * k / modes for k in range(modes)]
            means = [[radius * math.cos(angle), radius * math.sin(angle)] for angle in angles]
        super().__init__(means, std, in_turn=in_turn)
        self.radius = radius


class GaussianGrid(GaussianMixture):
    """Gaussians on a square grid around 0; the "25 Gaussians" by default.

    Args:
        side: Modes in a row and in a column.
        spacing: Distance of neighbours.
        std: Standard deviation of every mode.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> from datamodules.targets import GaussianGrid
        >>> GaussianGrid(side=3, spacing=2.0).modes.shape
        torch.Size([9, 2])
    """

    def __init__(self, side: int = 5, spacing: float = 2.0, std: float = 0.05):
        whole("side", side)
        number("spacing", spacing, positive=True)
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

    Examples:
        >>> import torch
        >>> from datamodules.targets import RandomMixture
        >>> RandomMixture(dim=16, modes=8).sample(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 16])
    """

    def __init__(self, dim: int = 16, modes: int = 8, radius: float = 5.0, std: float = 0.5, seed: int = 0):
        whole("dim", dim)
        whole("modes", modes)
        whole("seed", seed, 0)
        number("radius", radius)
        directions = torch.randn(modes, dim, generator=torch.Generator().manual_seed(seed))
        super().__init__((radius * torch.nn.functional.normalize(directions)).tolist(), std)
        self.radius, self.seed = radius, seed
