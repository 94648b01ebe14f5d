"""The validation at the end of a run."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class LastValidation(Callback):
    """Has a run validated after its last step too, where the steps from one validation to the next do not divide it.

    Examples:
        >>> from lightning_gantk.callbacks import LastValidation
        >>> callbacks = [LastValidation()]  # with Trainer(max_steps=200, val_check_interval=400)
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True  # before which Lightning validates
