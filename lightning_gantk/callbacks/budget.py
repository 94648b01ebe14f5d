"""Training for a time, in the place of a number of steps."""

import math
import time
import warnings
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gantk import bridge
from lightning_gantk.callbacks.checked import CheckedCallback
from lightning_gantk.checks import number
from lightning_gantk.errors import Advice, ConfigError
from lightning_gantk.processes import largest

SECONDS = "time/training"  # in the logs
_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Budget(CheckedCallback):
    """Stops training after the generator step in which it has taken so many seconds, and then validates once more.

    Everything counts from the preparation of the discriminator on, data, logs and checkpoints included, but two things:
    validations, and what JAX spends on compiling or on finding programs in its cache. Not told apart, and so counted,
    are ``torch.compile`` and, by the wall clock, the compiler of native kernels at their very first use. What was spent
    is part of checkpoints: a run that is resumed has the rest. Without ``seconds`` it counts, and stops nothing.

    Logged at each validation: ``time/training``, the seconds so far.

    Args:
        seconds: Of training; None for no limit.
        clock: "wall", or "cpu" for those of the processor, of all threads together, which do not depend on what else
            the machine does, and see nothing of a GPU, nor of the data loader's own processes.
        schedule: "cosine": learning rates of the generator fall to 0 over the budget,
            ``lr (1 + cos(pi spent / seconds)) / 2``, whatever the number of steps turns out to be. None leaves them
            alone.

    Raises:
        ConfigError: If an argument is not one of those allowed, or the optimizer has a scheduler beside ``schedule``.

    Examples:
        >>> from lightning_gantk.callbacks import Budget
        >>> Budget(300, clock="cpu", schedule="cosine").spent
        0.0
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        clock: Literal["wall", "cpu"] = "wall",
        schedule: Literal["cosine"] | None = None,
    ):
        if seconds is not None:
            number("seconds", seconds, positive=True, of="of a budget")
        if clock not in _CLOCKS:
            raise ConfigError(f"'clock' of a budget must be 'wall' or 'cpu', got {clock!r}.")
        if schedule not in ("cosine", None):
            raise ConfigError(f"'schedule' of a budget must be 'cosine' or null, got {schedule!r}.")
        if schedule is not None and seconds is None:
            raise ConfigError("A schedule of a budget needs its 'seconds'.")
        self.seconds, self.clock, self.schedule = seconds, clock, schedule
        self.spent = 0.0
        self._begun = -1
        self._last: tuple[float, float, float] | None = None  # of the clock, the wall clock and compilations

    def check(self, trainer: Trainer, gan: Any, data: Any) -> None:
        if self.schedule is not None:
            made = gan.configure_optimizers()
            self._refuse_another(isinstance(made, dict) and "lr_scheduler" in made)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.schedule is not None:  # of a module of any kind
            self._refuse_another(bool(trainer.lr_scheduler_configs))
        self._last = self._now()

    @staticmethod
    def _refuse_another(has_one: bool) -> None:
        if has_one:
            raise ConfigError(
                "The budget has a schedule, and the optimizer another: name the file with the budget after all others,"
                " or set model.scheduler to null, or budget.schedule."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_spent():  # the checkpoint is that of the end
            trainer.should_stop = True
            warnings.warn(
                f"The budget of {self.seconds:g} s is spent ({self.spent:.1f} s before the checkpoint), so that nothing"
                " is trained: give more budget.seconds to go on.",
                Advice,
                stacklevel=2,
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._begun = trainer.global_step
        if self.schedule is not None and self.seconds is not None:
            spent = largest(self.spent, pl_module.device)  # each process has a clock of its own, and all take one rate
            share = 0.5 * (1 + math.cos(math.pi * min(1.0, spent / self.seconds)))
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = share * group.setdefault("initial_lr", group["lr"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.seconds is None:
            return
        self._tick()
        if trainer.global_step > self._begun and largest(self._is_spent(), pl_module.device):
            trainer.should_stop = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._last is not None and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self._tick()
        self._last = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            for logger in trainer.loggers:
                logger.log_metrics({SECONDS: self.spent}, trainer.global_step)
        if trainer.state.fn == TrainerFn.FITTING:
            self._last = self._now()

    def state_dict(self) -> dict[str, Any]:
        self._tick()
        return {"spent": self.spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.spent = state_dict["spent"]

    def _is_spent(self) -> bool:
        return self.seconds is not None and self.spent >= self.seconds

    def _now(self) -> tuple[float, float, float]:
        return _CLOCKS[self.clock](), time.perf_counter(), bridge.compile_seconds() or 0.0

    def _tick(self) -> None:
        """Counts what has passed since the last look, but for the share of it in which JAX compiled."""
        if self._last is None:
            return
        now = self._now()
        seconds, wall, compiling = (new - old for new, old in zip(now, self._last, strict=True))
        if wall > 0:
            self.spent += seconds * max(0.0, 1 - compiling / wall)
        self._last = now
