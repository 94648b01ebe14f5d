"""The two checkpoints of a run: the last, to go on from, and the best, to sample from."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gantk.checks import whole
from lightning_gantk.training.folders import checkpoint_folder
from lightning_gantk.training.trainer import is_only_a_try


class LastCheckpoint(Checkpoint):
    """Keeps ``checkpoints/last.ckpt`` up to date: after the first step, at an interval and at the end of training.

    The first shows at once whether there is a place to write to. The file is replaced as a whole, so that a run killed
    amid writing leaves the one before.

    Args:
        every_n_steps: Generator steps from one to the next.

    Raises:
        ConfigError: If the interval is not positive.

    Examples:
        >>> from lightning_gantk.callbacks import LastCheckpoint
        >>> LastCheckpoint(every_n_steps=500).every_n_steps
        500
    """

    def __init__(self, every_n_steps: int = 100):
        whole("every_n_steps", every_n_steps, of="of the last checkpoint")
        self.every_n_steps = every_n_steps
        self._saved = self._begun = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._begun = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Not while gradients are being accumulated: a checkpoint does not hold them.
        step = trainer.global_step
        if step > self._begun and (step == 1 or step % self.every_n_steps == 0):
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._saved and self._saved == trainer.global_step and trainer.state.fn == TrainerFn.FITTING:
            self.save(trainer)  # once more, so that a resumed run need not validate again

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Writes the checkpoint now."""
        if is_only_a_try(trainer):
            return
        trainer.save_checkpoint(self.path(trainer))
        self._saved = trainer.global_step

    @staticmethod
    def path(trainer: Trainer) -> Path:
        """Where the checkpoint is."""
        return checkpoint_folder(trainer) / "last.ckpt"


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoints with the lowest FID, named after their step and FID.

    Args:
        keep: How many.
        monitor: Another metric of validation to rank by; it goes into the name.
        mode: "min" or "max".

    Examples:
        >>> from lightning_gantk.callbacks import BestCheckpoint
        >>> best = BestCheckpoint(keep=2, monitor="val/modes_covered", mode="max")
        >>> best.monitor, best.save_top_k
        ('val/modes_covered', 2)
    """

    def __init__(self, keep: int = 1, monitor: str = "val/fid", mode: str = "min"):
        name = monitor.rpartition("/")[-1]
        super().__init__(
            filename=f"best-step{{step:06d}}-{name}{{{monitor}:.4g}}",
            monitor=monitor,
            mode=mode,
            save_top_k=keep,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.dirpath = str(checkpoint_folder(trainer).absolute())
        super().setup(trainer, pl_module, stage)
