"""Checkpoints from which a run goes on bit for bit, at whatever moment they were saved."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from datamodules.endless import EndlessLoader
from lightning_gantk import lightning_internals
from lightning_gantk.training import random_states

_KEY = "exact_resume"


class ExactResume(Callback):
    """Keeps in every checkpoint what Lightning leaves out, and mends what it counts wrongly.

    ``GAN`` brings this callback along. Lightning restores parameters, optimizers and the place in the data. This adds:

    - the states of all random number generators, of each process its own, put back before the first batch; they are
      alike in all processes, so that a run may go on with more or fewer of them;
    - the counters of Lightning's loops. It writes them as they stand at the moment of saving, before, amid or after
      validation, before or after the end of an epoch, and cannot tell all of these apart when it resumes: it leaves
      validations out, counts epochs twice or trains a batch too many (lightning 2.6: ``_TrainingEpochLoop.reset`` and
      ``advance``, ``_FitLoop.reset``). Here every checkpoint says the same: so many batches of this epoch are done, and
      the validation that may follow the last of them is done, or is not.

    Resumption then runs the very hooks that the uninterrupted run would have run. It is exact where the training data
    resume, as those of ``datamodules`` do, and where no gradients were being accumulated at the moment of saving. With
    another number of processes and as large a batch of all together, it is exact but for rounding.

    Examples:
        >>> from lightning_gantk.callbacks import ExactResume, LastCheckpoint
        >>> callbacks = [ExactResume(), LastCheckpoint()]  # for a Trainer
    """

    def __init__(self) -> None:
        self._begun = random_states.capture()
        self._loaded: dict[str, Any] | None = None
        self._validated = False
        self._ends_epoch = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1:
            # Lightning has seeded anew in joining the processes: several are to draw what one would have drawn.
            random_states.restore(self._begun)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._loaded is None:
            return
        self._validated, states = self._loaded["validated"], self._loaded["random_states"]
        self._loaded = None
        random_states.restore(states[trainer.global_rank if trainer.global_rank < len(states) else 0])
        if lightning_internals.batches_are_done(trainer) and isinstance(trainer.train_dataloader, EndlessLoader):
            trainer.train_dataloader.end_epoch()
        self._ends_epoch = lightning_internals.epoch_is_over(trainer)
        if self._ends_epoch:
            lightning_internals.skip_rest_of_epoch(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._validated = False
        lightning_internals.count_steps_as_taken(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True  # and not in `on_validation_end`, where other callbacks save

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._ends_epoch:
            self._ends_epoch = False
            lightning_internals.rest_is_skipped(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states = _of_each_process(trainer, random_states.capture())
        checkpoint[_KEY] = {"random_states": states, "validated": self._validated}
        lightning_internals.mend_counters(checkpoint["loops"], validated=self._validated)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get(_KEY)


def _of_each_process(trainer: Trainer, state: dict[str, Any]) -> list[dict[str, Any]]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states
