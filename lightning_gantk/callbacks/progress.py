"""A progress bar in generator steps."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

_SHORT = {"train/generator_loss": "loss", "val/fid": "FID"}


class StepProgressBar(RichProgressBar):
    """Lightning's rich progress bar over all steps of the run, where ``max_steps`` says how many; else over each epoch.

    Args:
        refresh_rate: Redraws per second.
    """

    def __init__(self, refresh_rate: int = 5):
        super().__init__(refresh_rate=refresh_rate, theme=RichProgressBarTheme(metrics_format=".3g"))

    @property
    def total_train_batches(self) -> int | float:
        return self.trainer.max_steps if self._counts_steps() else super().total_train_batches

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._counts_steps() or self.train_progress_bar_id is None:
            super().on_train_epoch_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.global_step - 1 if self._counts_steps() else batch_idx
        super().on_train_batch_end(trainer, pl_module, outputs, batch, done)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {_SHORT.get(name, name): value for name, value in metrics.items()}

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training" if self._counts_steps() else super()._get_train_description(current_epoch)

    def _counts_steps(self) -> bool:
        return self.trainer.max_steps > 0
