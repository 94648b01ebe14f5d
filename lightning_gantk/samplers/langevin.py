"""Langevin steps along a discriminator."""

import math

import torch
from torch import Tensor

from lightning_gantk.checks import number, whole
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError


class GuidedLangevin:
    """Moves samples by ``x <- x - h grad c(f(x)) + sqrt(2 h temperature) e``, e from N(0, I).

    f is fitted anew to the samples and to real ones before each step: the flow of free particles that start from what
    the generator made (Asokan, Shetty, Srikanth and Seelamantula, f-GANs settle scores, 2023, sample so). One that is
    kept from fit to fit goes on from where training left it.

    Args:
        steps: How many.
        step_size: h; of each sample's own gradient.
        temperature: Of the noise; 0 follows the gradient alone.
        reals: How many training samples f is fitted to; None for all.

    Raises:
        ConfigError: If an argument is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk import IPM, NTKDiscriminator, RBF
        >>> from lightning_gantk.samplers import GuidedLangevin
        >>> refine = GuidedLangevin(steps=3, step_size=0.1)
        >>> moved = refine(torch.ones(4, 1), NTKDiscriminator(RBF(gamma=0.5), IPM()), torch.zeros(4, 1))
        >>> bool((moved < 1).all())  # towards the reals
        True
    """

    def __init__(self, steps: int, step_size: float, temperature: float = 0.0, reals: int | None = 1024):
        whole("steps", steps)
        whole("reals", reals, or_none=True)
        number("step_size", step_size, positive=True)
        number("temperature", temperature)
        self.steps, self.step_size, self.temperature, self.reals = steps, step_size, temperature, reals

    def __call__(self, samples: Tensor, discriminator: Discriminator, real: Tensor) -> Tensor:
        """The samples ``(N, ...)`` after all steps, for reals ``(M, ...)``. It trains the discriminator.

        Raises:
            ConfigError: If the discriminator's training is part of its gradient.
        """
        if discriminator.single_level:
            raise ConfigError(f"{type(discriminator).__name__} has no score to follow.")
        with torch.inference_mode(False), torch.enable_grad():
            x, real = samples.detach().clone(), real.detach().clone()
            for _ in range(self.steps):
                at = x.requires_grad_()
                discriminator.fit(real, at.detach())
                (slope,) = torch.autograd.grad(discriminator.loss.c(discriminator(at)).sum(), at)
                x = at.detach() - self.step_size * slope
                if self.temperature:
                    x = x + math.sqrt(2 * self.step_size * self.temperature) * torch.randn_like(x)
        return x

    def __repr__(self) -> str:
        return f"GuidedLangevin(steps={self.steps}, step_size={self.step_size:g}, temperature={self.temperature:g})"
