"""Fakes near one real sample, by their mean and covariance: when training converges, oscillates or diverges."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError

Updates = Literal["alternating", "simultaneous"]


@dataclass(frozen=True)
class Moments:
    """A state of the model.

    Attributes:
        slope: b, ``(d,)``; the discriminator is ``-f(x) = b.x - x^T C x / 2`` near the real sample, which is at 0.
        curvature: C, ``(d, d)``.
        mean: e of the fakes, ``(d,)``.
        covariance: V of the fakes, ``(d, d)``.
    """

    slope: Tensor
    curvature: Tensor
    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class SecondMomentModel:
    """The second-moment model of Becker, Pandit, Rangan and Fletcher (NeurIPS 2022; IEEE TSP 73, 2025).

    A real sample of mass p and fakes of total mass Q near it, a Gaussian kernel of scale s, a kept discriminator with
    decay lambda and IPM, and gradient steps of both; nu = 1 / s^2. Reals further apart than s do not feel each other.

    Attributes:
        decay: lambda, at least 0.
        scale: s, positive, of ``exp(-|x - y|^2 / (2 s^2))``: ``RBF(gamma=d / (2 s^2))`` here.
        discriminator_step: h_d, positive.
        generator_step: h_g of one fake, positive.
        mass_gap: p - Q.
        fake_mass: Q, positive.

    Examples:
        >>> from lightning_gantk.analysis import SecondMomentModel
        >>> model = SecondMomentModel(decay=0.1, scale=1.0, discriminator_step=0.01, generator_step=0.01)
        >>> model.is_stable("simultaneous")
        True
    """

    decay: float
    scale: float
    discriminator_step: float
    generator_step: float
    mass_gap: float = 0.0
    fake_mass: float = 1.0

    def __post_init__(self) -> None:
        number("decay", self.decay)
        for name in ("scale", "discriminator_step", "generator_step", "fake_mass"):
            number(name, getattr(self, name), positive=True)

    @property
    def nu(self) -> float:
        """1 / s^2."""
        return self.scale**-2

    @property
    def critical_decay(self) -> float:
        """The lambda at which small displacements of small steps are damped fastest, ``(2 / s) sqrt(Q h_g / h_d)``."""
        return 2 * math.sqrt(self.fake_mass * self.nu * self.generator_step / self.discriminator_step)

    def start(self, mean: Tensor, covariance: Tensor | None = None) -> Moments:
        """Fakes with these moments, in float64, and f = 0."""
        mean = torch.as_tensor(mean, dtype=torch.float64)
        nothing = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        return Moments(torch.zeros_like(mean), nothing, mean, nothing if covariance is None else covariance.double())

    def step(self, now: Moments, updates: Updates = "alternating") -> Moments:
        """One step of both."""
        h, eye = self.discriminator_step, torch.eye(len(now.mean), dtype=torch.float64)
        outer = torch.outer(now.mean, now.mean)
        spread = torch.trace(now.covariance + outer) * eye + 2 * (now.covariance + outer)
        slope = (1 - h * self.decay) * now.slope - h * self.nu * self.fake_mass * now.mean
        curvature = (1 - h * self.decay) * now.curvature + h * (
            self.nu * self.mass_gap * eye + self.nu**2 * self.fake_mass / 2 * spread
        )
        b, c = (now.slope, now.curvature) if updates == "simultaneous" else (slope, curvature)
        shrink = eye - self.generator_step * c
        mean = now.mean + self.generator_step * (b - c @ now.mean)
        return Moments(slope, curvature, mean, shrink @ now.covariance @ shrink)

    def eigenvalues(self, updates: Updates = "alternating") -> Tensor:
        """Complex ``(2,)``: of the step of a small (slope, mean), with the curvature at 0."""
        fade, push = 1 - self.discriminator_step * self.decay, self.discriminator_step * self.nu * self.fake_mass
        first = [fade, -push]
        h = self.generator_step
        second = [h, 1.0] if updates == "simultaneous" else [h * fade, 1 - h * push]
        return torch.linalg.eigvals(torch.tensor([first, second], dtype=torch.float64))

    def is_stable(self, updates: Updates = "alternating") -> bool:
        """Whether a small displacement dies out: for simultaneous small steps where ``lambda s^2 > Q h_g``."""
        return bool(self.eigenvalues(updates).abs().max() < 1)

    @property
    def split_radius(self) -> float:
        """How far from the real sample two fakes of Q / 2 each come to rest, 0 where they do not split: approximate
        mode collapse, ``s sqrt((2/3) ln(Q / p))``.
        """
        real = self.fake_mass + self.mass_gap
        if not real > 0:
            raise ConfigError(f"The real sample's mass Q + mass_gap must be positive, got {real}.")
        return self.scale * math.sqrt(max(2 / 3 * math.log(self.fake_mass / real), 0.0))
