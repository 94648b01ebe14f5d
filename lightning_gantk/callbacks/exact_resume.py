"""Checkpoints from which a run goes on bit for bit, at whatever moment they were saved."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk import random_states

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
        epoch_loop, batches = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
        if epoch_loop._num_ready_batches_reached() and not epoch_loop._should_check_val_fx(batches):
            # The epoch is over and no validation is due. Lightning would wait for one, and train meanwhile.
            self._ends_epoch = epoch_loop.val_loop._has_run = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._validated = False
        # The step that loggers see. Lightning counts it apart from `global_step`, and loses count when it resumes.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True  # and not in `on_validation_end`, where other callbacks save

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._ends_epoch:
            epoch_loop = trainer.fit_loop.epoch_loop
            self._ends_epoch = epoch_loop.val_loop._has_run = False
            epoch_loop.on_iteration_done()  # the end of the restart, which an epoch without a batch does not reach

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states = _of_each_process(trainer, random_states.capture())
        checkpoint[_KEY] = {"random_states": states, "validated": self._validated}
        _mend(checkpoint["loops"]["fit_loop"], validated=self._validated)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get(_KEY)


def _mend(loops: dict[str, Any], *, validated: bool) -> None:
    """Makes the counters say: in an epoch, so many batches done, then validated or (amid its first batch) not yet."""
    epochs, batches = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    validation = loops["epoch_loop.val_loop.batch_progress"]
    if batches["total"]["ready"] == 0:
        return  # saved before any training: as Lightning has it
    amid_epoch = epochs["current"]["started"] > epochs["current"]["processed"]
    for part in ("total", "current"):
        over = epochs[part]["processed"] - (0 if amid_epoch else 1)
        epochs[part] = {"ready": over + 1, "started": over + 1, "processed": over, "completed": over}
        batches[part] = dict.fromkeys(("ready", "started", "processed", "completed"), batches[part]["ready"])
        begun = 0 if validated else 1
        validation[part] = {"ready": begun, "started": begun, "processed": 0, "completed": 0}
    validation["is_last_batch"] = False
    optimizer = loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    # One less than the steps taken: Lightning adds it at the end of the batch, after validation.
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = max(optimizer["step"]["total"]["completed"] - 1, 0)


def _of_each_process(trainer: Trainer, state: dict[str, Any]) -> list[dict[str, Any]]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states
