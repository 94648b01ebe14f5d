"""What TensorBoard shows of a run that was resumed: every point, and each once."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk.callbacks.budget import SECONDS

_KEY = "logged_points"


class KeepLoggedPoints(Callback):
    """Keeps in every checkpoint what was logged for the step that it was saved after, and logs it again on resumption.

    A resumed run has TensorBoard forget everything from that step on, since some of it belongs to the steps to come:
    the next generator step, and a validation that was not done yet, log under the same number.

    Examples:
        >>> from lightning_gantk.callbacks import KeepLoggedPoints, LastCheckpoint
        >>> callbacks = [KeepLoggedPoints(), LastCheckpoint()]  # for a Trainer
    """

    def __init__(self) -> None:
        self._validated: tuple[int, dict[str, float]] = (-1, {})
        self._loaded: tuple[int, dict[str, float]] = (-1, {})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:  # Lightning logs these a moment later, after callbacks have saved
            found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            self._validated = trainer.global_step, found

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        sources = [self._validated, *(getattr(logger, "latest", (-1, {})) for logger in trainer.loggers)]
        points = [found for step, found in sources if step == trainer.global_step]
        own = ("train/", "time/", "epoch")  # which Lightning logs under the number of the steps before
        merged = {
            name: float(value)
            for found in points
            for name, value in found.items()
            if name == SECONDS or not name.startswith(own)  # a budget logs its seconds itself
        }
        checkpoint[_KEY] = (trainer.global_step, merged)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get(_KEY, (-1, {}))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (step, points), self._loaded = self._loaded, (-1, {})
        for logger in trainer.loggers:
            if points:  # also where the run has no step left to take, and training does not start
                logger.log_metrics(points, step)
