"""What a person wants to know when training ends, and where to look."""

import statistics
import time
from array import array
from pathlib import Path
from typing import Any, TypeVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gantk.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from lightning_gantk.callbacks.samples import SampleGrid
from lightning_gantk.training.folders import run_folder, shown
from lightning_gantk.training.trainer import callbacks_of

_Kind = TypeVar("_Kind", bound=Callback)


class RunSummary(Callback):
    """Says at the start what is trained, and at the end how far the FID fell, or that it rose, and where everything is.

    Where the first validation was made before training, its FID is that of the untrained generator; it outlives
    resumption in the checkpoint.

    Args:
        metric: Another metric of validation to tell of.

    Examples:
        >>> from lightning_gantk.callbacks import RunSummary
        >>> RunSummary(metric="val/sinkhorn").metric
        'val/sinkhorn'
    """

    def __init__(self, metric: str = "val/fid") -> None:
        self.metric = metric
        self._begun, self._seconds = 0.0, array("d")  # of each batch
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = trainer.callback_metrics.get(self.metric)
        if value is not None and not trainer.sanity_checking:
            self._last = (trainer.global_step, float(value))
            self._first = self._first or self._last

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._begun = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._seconds.append(time.perf_counter() - self._begun)

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._say(trainer, f"{pl_module.described}, in {shown(run_folder(trainer))}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":  # after `on_fit_end`, where the progress bar is still on the screen
            return
        lines = [self._told(trainer)]
        if len(self._seconds) > 1:
            first, others = self._seconds[0], statistics.median(self._seconds[1:])
            lines.append(f"time         {first:.2g} s the first step, compilation included; {others:.2g} s the others")
        if (grid := _only(SampleGrid, trainer)) is not None and grid.latest:
            lines.append(f"samples      {shown(grid.latest)}")
        if _only(LastCheckpoint, trainer) is not None and LastCheckpoint.path(trainer).is_file():
            lines.append(f"resume with  --ckpt_path {shown(LastCheckpoint.path(trainer))}")
        if (best := _only(BestCheckpoint, trainer)) is not None and best.best_model_path:
            lines.append(f"best         {shown(best.best_model_path)}")
        if isinstance(trainer.logger, TensorBoardLogger) and Path(trainer.logger.log_dir).is_dir():
            lines.append(f"curves       tensorboard --logdir {shown(trainer.logger.log_dir)}")
        self._say(trainer, "\n".join(lines))

    def state_dict(self) -> dict[str, Any]:
        return {"first": self._first, "last": self._last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._first, self._last = state_dict["first"], state_dict["last"]

    def _told(self, trainer: Trainer) -> str:
        name = self.metric.rpartition("/")[-1]
        name = name.upper() if name in ("fid", "kid", "mmd") else name
        if self._first is None or self._last is None:
            return f"{trainer.global_step} generator steps are done; no {name} was measured."
        (begun, first), (measured, last) = self._first, self._last
        start = "at the start" if begun == 0 else f"after {begun} steps"
        end = "at the end" if measured == trainer.global_step else "when last measured"
        floor = trainer.callback_metrics.get(f"{self.metric}_floor")
        real = "" if floor is None else f", {floor:.4g} for real against real"
        worse = f": worse than {start}" if self._is_worse(trainer, first, last) else ""
        return f"{name} {first:.4g} {start}, {last:.4g} {end} (after {measured} generator steps){real}{worse}."

    def _is_worse(self, trainer: Trainer, first: float, last: float) -> bool:
        """Whether the value went the wrong way: up, unless the best checkpoint is that of the highest."""
        best = _only(BestCheckpoint, trainer)
        rises = best is not None and best.monitor == self.metric and best.mode == "max"
        return last < first if rises else last > first

    @staticmethod
    def _say(trainer: Trainer, text: str) -> None:
        if trainer.is_global_zero:
            print(text)


def _only(kind: type[_Kind], trainer: Trainer) -> _Kind | None:
    """The callback of a kind, where there is one."""
    return next((callback for callback in callbacks_of(trainer) if isinstance(callback, kind)), None)
