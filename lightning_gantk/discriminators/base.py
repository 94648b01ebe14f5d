"""What a discriminator is to the rest of the framework, whatever its width."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss


class Discriminator(nn.Module, ABC):
    """Trained by ``fit`` on a batch, then called for scores. One of your own implements ``fit`` and ``forward``.

    Args:
        loss: The adversarial loss; its generator half is read by the training step.
        time: The training time t of one ``fit``; None where a discriminator has no such notion.
    """

    def __init__(self, *, loss: AdversarialLoss, time: float | None):
        super().__init__()
        if not isinstance(loss, AdversarialLoss):
            raise ConfigError(f"'loss' must be an AdversarialLoss such as IPM() or LSGAN(), got {loss!r}.")
        if time is not None and (not math.isfinite(time) or time < 0):
            raise ConfigError(f"The discriminator's training time must be at least 0, got time={time}.")
        self.loss, self.time = loss, time

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Gets ready for samples of shape ``(C, H, W)`` or ``(d,)``; a second call with the same shape does nothing.

        Raises:
            ConfigError: If samples of that shape cannot be taken.
        """

    @abstractmethod
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Trains the discriminator to tell ``real`` ``(M, ...)`` from ``fake`` ``(N, ...)``; both without graph.

        Where several processes work on the run, each of them calls it with the same samples, those of all processes,
        and comes out with the same discriminator.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Raw scores ``(N,)`` of samples ``(N, ...)``, differentiable in ``x`` and in nothing else."""

    def gram(self, x: Tensor) -> Tensor | None:
        """The Gram matrix ``(N, N)`` of samples ``(N, ...)`` under the kernel that the discriminator trains by.

        None where there is no such kernel.
        """
        return None

    @torch.no_grad()
    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """Figures to watch, from the scores ``(M,)`` and ``(N,)`` of the batch that ``fit`` saw; by name."""
        return {
            "objective": self.loss.discriminator(real_scores, fake_scores),
            "score_real": real_scores.mean(),
            "score_fake": fake_scores.mean(),
        }


def check_batch(real: Tensor, fake: Tensor) -> None:
    """Refuses batches that no discriminator can be trained on."""
    for name, batch in (("real", real), ("fake", fake)):
        if batch.ndim < 2 or len(batch) == 0:
            raise ConfigError(
                f"'{name}' must be a batch of at least one sample, (N, d) or (N, C, H, W), got {tuple(batch.shape)}."
            )
    if real.shape[1:] != fake.shape[1:]:
        raise ConfigError(
            f"Real and fake samples must have one shape, got {tuple(real.shape[1:])} and {tuple(fake.shape[1:])}."
        )
    if real.device != fake.device:
        raise ConfigError(f"Real and fake samples must be on one device, got {real.device} and {fake.device}.")
