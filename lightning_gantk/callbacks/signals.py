"""Stopping on request, with nothing lost."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gantk.callbacks.checkpoints import LastCheckpoint
from lightning_gantk.processes import largest
from lightning_gantk.training.folders import shown


class StoppedBySignal(SystemExit):
    """Ends the process with the shell's exit code for the signal: 143 for SIGTERM, 130 for SIGINT.

    Examples:
        >>> from lightning_gantk.callbacks import StoppedBySignal
        >>> StoppedBySignal(15, "stopped by SIGTERM").code
        143
    """

    def __init__(self, number: int, message: str):
        super().__init__(128 + number)
        self.message = message

    def __str__(self) -> str:
        return self.message


class StopOnSignal(Checkpoint):
    """On SIGTERM or Ctrl-C finishes the generator step at hand, saves ``last.ckpt`` and stops.

    A validation is broken off, and a run resumed from the checkpoint does it anew. Outside training, where there is
    nothing to save, and on a second Ctrl-C it stops at once. Where one of several processes receives the signal, all
    stop after the same step.

    It is a ``Checkpoint`` to Lightning, which calls these after all other callbacks.

    Examples:
        >>> from lightning_gantk.callbacks import LastCheckpoint, StopOnSignal
        >>> callbacks = [LastCheckpoint(), StopOnSignal()]  # for a Trainer
    """

    def __init__(self) -> None:
        self._received = 0
        self._begun = -1
        self._saved = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen(trainer)
        self._stop_if_saved(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._stop_if_saved(trainer)
        self._begun = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Stopping waits for the next hook, so that what this step logged is written.
        if trainer.global_step > self._begun and self._anywhere(trainer):
            self._save(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._anywhere(trainer):
            self._save(trainer)
            self._stop_if_saved(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, StoppedBySignal) and trainer.is_global_zero:
            print(exception.message, file=sys.stderr)

    def _listen(self, trainer: Trainer) -> None:
        # Lightning has just put in a handler of its own for SIGTERM, which stops with exit code 0, or not at all. It
        # puts the original handlers back when it is done.
        if threading.current_thread() is not threading.main_thread():
            return

        def receive(number: int, frame: FrameType | None) -> None:
            if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
                raise StoppedBySignal(number, f"Stopped by {signal.Signals(number).name}.")
            if number == signal.SIGINT and self._received == signal.SIGINT:
                raise KeyboardInterrupt
            self._received = number

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, receive)

    def _anywhere(self, trainer: Trainer) -> bool:
        """Whether any process has received a signal; they must all ask."""
        found = int(largest(self._received, trainer.strategy.root_device))
        self._received = self._received or found  # one may have come in the meantime
        return bool(found)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(LastCheckpoint.path(trainer))
        self._saved = True

    def _stop_if_saved(self, trainer: Trainer) -> None:
        if self._saved:
            name = signal.Signals(self._received).name
            done = f"Stopped by {name} after generator step {trainer.global_step}."
            how = f"Resume with --ckpt_path {shown(LastCheckpoint.path(trainer))}"
            raise StoppedBySignal(self._received, f"{done} {how}")
