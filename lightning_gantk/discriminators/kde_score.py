"""The score GAN in closed form."""

import math

import torch
from torch import Tensor

from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.discriminators.noise_levels import NoiseLevels
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM


class KDEScore(Discriminator):
    """The log ratio of two kernel density estimates, ``log p_fake(x) - log p_real(x)``, at random noise levels.

    The generator sees ``sigma (grad log p_fake - grad log p_real)`` at its samples with noise of size sigma added: what
    the Score GAN of Franceschi et al. (arXiv 2305.16150) learns with two denoisers (``DenoiserScore``), which are exact
    for the samples at hand here. Levels are ``(sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho``, u
    uniform, a new one for each sample and step. Scores that anybody else asks for are those at the middle level,
    without noise. Fakes score high.

    Args:
        sigma_min: The least noise, positive, in the units of the samples.
        sigma_max: The most.
        rho: How much of the levels is small; 1 spreads them evenly.

    Raises:
        ConfigError: If an argument is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk.discriminators import KDEScore
        >>> discriminator = KDEScore(sigma_min=0.1, sigma_max=2.0)
        >>> discriminator.fit(torch.zeros(4, 1), torch.ones(4, 1))
        >>> scores = discriminator(torch.tensor([[0.0], [0.5], [1.0]]))
        >>> bool(scores[0] < 0 < scores[2]) and abs(round(scores[1].item(), 4))  # fakes score high
        0.0
    """

    def __init__(self, sigma_min: float, sigma_max: float, rho: float = 3.0):
        super().__init__(loss=IPM(), time=None)
        self.levels = NoiseLevels(sigma_min, sigma_max, rho)
        self._samples: tuple[Tensor, Tensor] | None = None

    @property
    def scores_before_fit(self) -> bool:
        return False

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Keeps the samples ``(M, ...)`` and ``(N, ...)``; there is nothing to train."""
        check_batch(real, fake)
        self._samples = real.detach().clone(), fake.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        return self._ratio(x, self.levels.middle(x))

    def generator_scores(self, fake: Tensor) -> Tensor:
        return self._ratio(*self.levels.noisy(fake))

    def _ratio(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``sigma (log p_fake - log p_real)`` of samples ``(N, ...)``, each at its own level ``(N,)``."""
        if self._samples is None:
            raise ConfigError("KDEScore has no scores before fit(real, fake).")
        real, fake = (_log_density(x, points.to(x), sigma) for points in self._samples)
        return sigma * (fake - real)

    def extra_repr(self) -> str:
        return str(self.levels)


def _log_density(x: Tensor, points: Tensor, sigma: Tensor) -> Tensor:
    """``log mean_p exp(-|x - p|^2 / (2 sigma^2))``, ``(N,)``, without the factor that two of them share."""
    # Not from inner products, which would lose the digits of near pairs.
    distances = torch.cdist(x.flatten(1), points.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return torch.logsumexp(-(distances**2) / (2 * sigma[:, None] ** 2), 1) - math.log(len(points))
