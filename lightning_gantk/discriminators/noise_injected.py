"""Noise at the fakes that the generator learns from."""

from typing import Any

import torch
from torch import Tensor

from lightning_gantk.checks import number, whole
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.discriminators.wrapper import Wrapper
from lightning_gantk.errors import ConfigError
from lightning_gantk.processes import own_part, processes


class NoiseInjected(Wrapper):
    """The generator moves along ``grad f(x + beta u)``, u from N(0, I); f is fitted to the samples themselves.

    Noise lets fakes feel what lies beyond the kernel's reach, and keeps an MMD flow from stopping where its gradient
    vanishes (Arbel, Korba, Salim and Gretton, "Maximum mean discrepancy gradient flow", NeurIPS 2019). Scores that
    anybody else asks for have no noise.

    Args:
        discriminator: Gives f.
        level: beta at the first fit, in the units of the samples.
        decay: What beta is multiplied by each time ``every`` fits are done.
        every: Fits from one level to the next.

    Raises:
        ConfigError: If an argument is out of range.

    Examples:
        >>> from lightning_gantk import IPM, NTKDiscriminator, RBF
        >>> from lightning_gantk.discriminators import NoiseInjected
        >>> NoiseInjected(NTKDiscriminator(RBF(gamma=0.5), IPM()), level=3.0, decay=0.5, every=2000).level
        3.0
    """

    def __init__(self, discriminator: Discriminator, level: float, decay: float = 1.0, every: int = 1000):
        super().__init__(discriminator)
        number("level", level, of="of the noise")
        if not 0 < decay <= 1:
            raise ConfigError(f"'decay' of the noise must be above 0 and at most 1, got {decay}.")
        whole("every", every)
        self.level, self.decay, self.every = level, decay, every
        self._fits = 0

    @property
    def beta(self) -> float:
        """The present level."""
        return self.level * self.decay ** (max(self._fits - 1, 0) // self.every)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        super().fit(real, fake)
        self._fits += 1

    def generator_scores(self, fake: Tensor) -> Tensor:
        # Each process draws for all of them, and keeps its part.
        noise = own_part(torch.randn(len(fake) * processes(), *fake.shape[1:], device=fake.device, dtype=fake.dtype))
        noise[:, fake.shape[1] - self.conditions :] = 0
        return self(fake + self.beta * noise)

    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        found = self.discriminator.statistics(real_scores, fake_scores)
        return {**found, "noise": real_scores.new_tensor(self.beta)}

    def get_extra_state(self) -> dict[str, Any]:
        return {"fits": self._fits}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._fits = state["fits"]

    def extra_repr(self) -> str:
        return f"level={self.level:g}, decay={self.decay:g}, every={self.every}"
