"""A progress bar in generator steps."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

from lightning_gantk.lightning_internals import ProgressBar

_SHORT = {"train/generator_loss": "loss", "val/fid": "FID"}


class StepProgressBar(ProgressBar):
    """Lightning's rich progress bar over all steps of the run, where ``max_steps`` says how many; else over each epoch.

    Numbers beside it are read as often as it is drawn, not at each step: on a GPU the host waits for them.

    Args:
        refresh_rate: Redraws per second.

    Examples:
        >>> from lightning_gantk.callbacks import StepProgressBar
        >>> StepProgressBar(refresh_rate=20).refresh_rate
        20
    """

    def __init__(self, refresh_rate: int = 5):
        super().__init__(refresh_rate=refresh_rate, theme=RichProgressBarTheme(metrics_format=".3g"))
        self._metrics: dict[str, Any] = {}
        self._read = -float("inf")  # when the metrics were read
        self._in_step = False

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
        self._in_step = True
        super().on_train_batch_end(trainer, pl_module, outputs, batch, done)
        self._in_step = False

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        now = time.monotonic()
        if not self._in_step or now - self._read >= 1 / self.refresh_rate:
            metrics = super().get_metrics(trainer, pl_module)
            metrics.pop("v_num", None)
            self._metrics = {_SHORT.get(name, name): value for name, value in metrics.items()}
            self._read = now
        return dict(self._metrics)

    def words_of_training(self, epoch: int) -> str:
        return "Training" if self._counts_steps() else super().words_of_training(epoch)

    def _counts_steps(self) -> bool:
        return self.trainer.max_steps > 0
