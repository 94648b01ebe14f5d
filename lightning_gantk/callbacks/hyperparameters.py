"""Hyper-parameters beside results in TensorBoard."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gantk.training.trainer import data_of


class LogHyperparameters(Callback):
    """Fills TensorBoard's HPARAMS tab with the run's configuration and results, from the first validation on.

    The results are those of validation, ``val/fid`` and its like; of a run without validation the generator's loss,
    from the end of training on. TensorBoard shows the latest value of each.

    Args:
        others: Values to show besides the hyper-parameters of model and data, nested or not.
        metric: A result without which it is not time yet.

    Examples:
        >>> from lightning.pytorch import Trainer
        >>> from lightning_gantk.callbacks import LogHyperparameters
        >>> callbacks = [LogHyperparameters({"note": "a wider kernel"}, metric="val/sinkhorn")]
        >>> trainer = Trainer(callbacks=callbacks, accelerator="cpu", logger=False, enable_checkpointing=False)
    """

    def __init__(self, others: dict[str, Any] | None = None, metric: str = "val/fid"):
        self.others, self.metric = others or {}, metric
        self._logged = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.metric in trainer.callback_metrics and not trainer.sanity_checking:
            self._log(trainer, pl_module, "val/")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log(trainer, pl_module, "train/generator_loss")

    def _log(self, trainer: Trainer, pl_module: LightningModule, start: str) -> None:
        if self._logged:
            return
        self._logged = True
        results = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(start)}
        data = data_of(trainer)
        of_data = {"data": {"class_path": type(data).__name__, "init_args": data.hparams}} if data else {}
        parameters = flat({**self.others, **pl_module.hparams, **of_data})
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(parameters, results, trainer.global_step)


def flat(parameters: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names nested values by their path, and a class by its name alone: ``{"model.generator": "DCGANGenerator"}``."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        path = prefix + name
        if isinstance(value, dict) and "class_path" in value:
            found[path] = value["class_path"].rpartition(".")[-1]
            found |= flat(value.get("init_args") or {}, f"{path}.")
        elif isinstance(value, dict):
            found |= flat(value, f"{path}.")
        elif not name.startswith("_"):
            found[path] = value
    return found
