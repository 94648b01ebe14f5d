"""The best discriminator of the original GAN, where densities are known."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss, Vanilla


class Density(Protocol):
    """What has a log density, such as ``datamodules.targets.GaussianRing``."""

    def log_density(self, points: Any, /) -> Any:
        """``(N,)`` of points ``(N, d)``, differentiable in them."""


class ExactRatio(Discriminator):
    """``f(x) = log p_real(x) - log p_fake(x)``, what a vanilla discriminator of any power tends to.

    p_real is given. p_fake is the Gaussian with the mean and covariance of the fakes, which is exact where an affine
    generator makes them of Gaussian latents, as in the experiments of Yi, Zhu and Liu (MonoFlow, ICML 2023). For losses
    that score fakes high the sign is the other one.

    Args:
        target: Has p_real.
        loss: The adversarial loss; its c is what the generator makes of the ratio.
        ridge: Added to the diagonal of the covariance.

    Raises:
        ConfigError: If there is no density.

    Examples:
        >>> import torch
        >>> from datamodules.targets import GaussianRing
        >>> from lightning_gantk.discriminators import ExactRatio
        >>> discriminator = ExactRatio(GaussianRing(modes=4, radius=2.0, std=0.5))
        >>> fake = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> discriminator.fit(fake, fake)
        >>> scores = discriminator(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
        >>> bool(scores[0] > 0 > scores[1])  # a mode is more likely real, the centre is not
        True
    """

    def __init__(self, target: Density, loss: AdversarialLoss | None = None, *, ridge: float = 1e-6):
        super().__init__(loss=loss or Vanilla(), time=None)
        if not callable(getattr(target, "log_density", None)):
            raise ConfigError(f"ExactRatio needs a target with a log_density, got {target!r}.")
        if not ridge >= 0:
            raise ConfigError(f"'ridge' must be at least 0, got {ridge}.")
        self.target, self.ridge = target, ridge
        self._fakes: tuple[Tensor, Tensor] | None = None  # mean, and lower factor of the covariance
        at = torch.zeros((), requires_grad=True)
        (slope,) = torch.autograd.grad(self.loss.a(at) + self.loss.b(at), at)
        self._sign = -1 if slope > 0 else 1

    def build(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 1:
            raise ConfigError(f"ExactRatio takes points (N, d), not samples of shape {tuple(in_shape)}.")

    @property
    def scores_before_fit(self) -> bool:
        return False

    @torch.no_grad()
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Takes the moments of the fakes ``(N, d)``."""
        check_batch(real, fake)
        self.build(fake.shape[1:])
        mean = fake.mean(0)
        covariance = (fake - mean).T @ (fake - mean) / len(fake) + self.ridge * torch.eye(fake.shape[1]).to(fake)
        self._fakes = mean, torch.linalg.cholesky(covariance)

    def forward(self, x: Tensor) -> Tensor:
        if self._fakes is None:
            raise ConfigError("ExactRatio has no scores before fit(real, fake).")
        mean, factor = (part.to(x) for part in self._fakes)
        whitened = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
        volume = factor.diagonal().log().sum() + x.shape[1] / 2 * math.log(2 * math.pi)
        of_fakes = -(whitened**2).sum(0) / 2 - volume
        return self._sign * (self.target.log_density(x) - of_fakes)
