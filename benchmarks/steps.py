"""Whole training steps on points, by the paper's configurations: what the discriminator takes, and what the rest."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, Trainer

from benchmarks import paper, problems
from lightning_gantk import GAN

_WARM_UP = 20


@dataclass(frozen=True)
class Share:
    """Medians over the steps of a run.

    Attributes:
        whole: Seconds from one step to the next.
        discriminator: Seconds of them in fit, scores and their gradient.
        by_hand: Seconds of the same step in a loop without Lightning.
        part: Of the whole in the discriminator, the median of the steps' own parts.
        ratio: By hand over whole, the median of pairs.
    """

    whole: float
    discriminator: float
    by_hand: float
    part: float
    ratio: float


class StepClock(Callback):
    """Times every step of a run and, between two of them, one by hand on particles of its own."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float, float]] = []  # whole, discriminator, by hand
        self._begun: float | None = None

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        generator = type(gan.generator)(len(gan.generator.samples), gan.generator.out_shape)
        points = trainer.datamodule.train_dataset
        optimizer = type(trainer.optimizers[0])(generator.parameters(), lr=trainer.optimizers[0].param_groups[0]["lr"])
        self._step = problems.training_step(generator, optimizer, gan.discriminator, points)

    def on_train_batch_start(self, trainer: Trainer, gan: GAN, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        if self._begun is not None:
            seconds = gan._stopwatch.seconds
            self.steps.append((now - self._begun, seconds["fit"] + seconds["scores"], self._by_hand))
        begun = time.perf_counter()
        self._step()
        self._begun = time.perf_counter()
        self._by_hand = self._begun - begun

    def shares(self) -> Share:
        """What was found, the first steps left out."""
        steps = self.steps[min(_WARM_UP, len(self.steps) - 1) :]
        whole, discriminator, by_hand = (statistics.median(column) for column in zip(*steps, strict=True))
        part = statistics.median(inside / of for of, inside, _ in steps)
        return Share(whole, discriminator, by_hand, part, statistics.median(hand / of for of, _, hand in steps))


def share(regime: str, steps: int) -> Share:
    """Runs ``train.py`` with ReLU networks on the CPU, 500 particles against 500 points, without validation.

    Args:
        regime: One of ``paper.REGIMES``.
        steps: Generator steps.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "trainer.max_steps": steps,
            "trainer.limit_val_batches": 0,
            "trainer.accelerator": "cpu",
            "trainer.enable_progress_bar": "false",
            "trainer.callbacks+": f"{__name__}.StepClock",
            "trainer.default_root_dir": folder,
        }
        cli = paper.fit(regime, "relu", settings)
    (clock,) = (callback for callback in cli.trainer.callbacks if isinstance(callback, StepClock))
    return clock.shares()
