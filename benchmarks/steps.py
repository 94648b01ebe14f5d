"""Whole training steps on points, by the paper's configurations: what the discriminator takes, and what the rest."""

import copy
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from benchmarks import paper, problems
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.generators import Particles
from lightning_gantk.training.trainer import callbacks_of, data_of

_WARM_UP = 20


@dataclass(frozen=True)
class Share:
    """Medians over the steps of a run, in seconds but for ``part``.

    Attributes:
        whole: From one step to the next.
        discriminator: Of that, in fit, scores and their gradient.
        part: What part of the whole that is, the median of the steps' own.
        by_hand: The same step in a loop without Lightning.
        bare: The same step in the smallest LightningModule that takes it.
    """

    whole: float
    discriminator: float
    part: float
    by_hand: float
    bare: float


class StepClock(Callback):
    """Times every step of a run and, between two of them, one by hand on particles of its own."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float, float]] = []  # whole, discriminator, by hand
        self._begun: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        particles = _like_particles(pl_module.generator)
        optimizer = _like(trainer.optimizers[0], particles)
        data = data_of(trainer).train_dataset
        discriminator = copy.deepcopy(pl_module.discriminator)  # the run's own is trained by the run alone
        self._step = problems.training_step(particles, optimizer, discriminator, data)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        if self._begun is not None:
            seconds = pl_module._stopwatch.seconds
            self.steps.append((now - self._begun, seconds["fit"] + seconds["scores"], self._by_hand))
        begun = time.perf_counter()
        self._step()
        self._begun = time.perf_counter()
        self._by_hand = self._begun - begun


class BareModule(LightningModule):
    """Particles against a discriminator, with nothing logged, watched or kept."""

    def __init__(self, particles: Particles, discriminator: Discriminator, optimizer: torch.optim.Optimizer):
        super().__init__()
        self.particles, self.discriminator, self._optimizer = particles, discriminator, optimizer
        self.ends: list[float] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._optimizer

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        fake = self.particles(self.particles.latent(len(batch)))
        self.discriminator.fit(batch, fake.detach())
        return self.discriminator.loss.generator(self.discriminator(fake))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.ends.append(time.perf_counter())


def share(regime: str, steps: int) -> Share:
    """Runs ``train.py`` with ReLU networks on the CPU, 500 particles against 500 points, without validation.

    Args:
        regime: One of ``paper.REGIMES``.
        steps: Generator steps.
    """
    on_cpu = {"max_steps": steps, "limit_val_batches": 0, "accelerator": "cpu", "enable_progress_bar": False}
    with tempfile.TemporaryDirectory() as folder:
        settings = {**on_cpu, "callbacks+": f"{__name__}.StepClock", "default_root_dir": folder}
        cli = paper.fit(regime, "relu", {f"trainer.{name}": value for name, value in settings.items()})
        particles = _like_particles(cli.model.generator)
        bare = BareModule(particles, cli.model.discriminator, _like(cli.trainer.optimizers[0], particles))
        silent: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
        Trainer(**on_cpu, **silent, default_root_dir=folder).fit(bare, cli.datamodule.train_dataloader())
    (clock,) = (callback for callback in callbacks_of(cli.trainer) if isinstance(callback, StepClock))
    measured = clock.steps[min(_WARM_UP, len(clock.steps) - 1) :]
    whole, discriminator, by_hand = (statistics.median(column) for column in zip(*measured, strict=True))
    part = statistics.median(inside / of for of, inside, _ in measured)
    return Share(whole, discriminator, part, by_hand, statistics.median(b - a for a, b in pairwise(bare.ends)))


def _like_particles(particles: Particles) -> Particles:
    return Particles(len(particles.samples), particles.out_shape)


def _like(optimizer: torch.optim.Optimizer, particles: Particles) -> torch.optim.Optimizer:
    kind: Any = type(optimizer)  # each has settings of its own
    return kind(particles.parameters(), lr=optimizer.param_groups[0]["lr"])
