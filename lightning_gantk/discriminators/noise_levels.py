"""The sizes of noise at which scores are compared."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError
from lightning_gantk.processes import own_part, processes


@dataclass(frozen=True)
class NoiseLevels:
    """``(sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho``, u uniform (Karras et al., 2022).

    Attributes:
        sigma_min: The least noise, positive, in the units of the samples.
        sigma_max: The most.
        rho: How much of the levels is small; 1 spreads them evenly.

    Raises:
        ConfigError: If a number is out of range.
    """

    sigma_min: float
    sigma_max: float
    rho: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min <= self.sigma_max < math.inf:
            raise ConfigError(
                f"Noise levels must satisfy 0 < sigma_min <= sigma_max, got {self.sigma_min} and {self.sigma_max}."
            )
        number("rho", self.rho, positive=True)

    def __call__(self, uniform: Tensor) -> Tensor:
        """Levels of numbers between 0 (``sigma_max``) and 1 (``sigma_min``)."""
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        return (high + uniform * (low - high)) ** self.rho

    def middle(self, x: Tensor) -> Tensor:
        """The level of u = 1/2, for each of samples ``(N, ...)``: ``(N,)``."""
        return self(x.new_full((len(x),), 0.5))

    def draw(self, x: Tensor) -> Tensor:
        """A random one for each of samples ``(N, ...)`` that all processes have alike: ``(N,)``."""
        return self(torch.rand(len(x), device=x.device, dtype=x.dtype))

    def noisy(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """A process's own samples ``(N, ...)`` with noise, each of a random size ``(N,)``; and these sizes."""
        total = len(own) * processes()
        sigma = self(own_part(torch.rand(total, device=own.device, dtype=own.dtype)))
        noise = own_part(torch.randn(total, *own.shape[1:], device=own.device, dtype=own.dtype))
        return own + sigma.view(-1, *(1,) * (own.ndim - 1)) * noise, sigma

    def __str__(self) -> str:
        return f"sigma_min={self.sigma_min:g}, sigma_max={self.sigma_max:g}, rho={self.rho:g}"
