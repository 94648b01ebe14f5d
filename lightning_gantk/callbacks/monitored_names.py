"""Whether somebody logs what somebody else waits for."""

from collections.abc import Iterable, Iterator

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk.errors import ConfigError, MetricMissing
from lightning_gantk.training.trainer import callbacks_of
from lightning_gantk.words import meant

_COMPARISON = "the comparison"


class MonitoredNames(Callback):
    """Refuses, at the first validation, metrics that nobody logs and callbacks or comparisons wait for.

    ``EarlyStopping`` and checkpoints would notice after training has begun, or at its end. Names of training
    (``train/...``) pass: some come late.

    Args:
        expected: Others that are waited for, such as those of a comparison's report.

    Examples:
        >>> from lightning_gantk.callbacks import BestCheckpoint, MonitoredNames
        >>> callbacks = [BestCheckpoint(monitor="val/kid"), MonitoredNames(["val/fid"])]  # refuses what nobody logs
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self.expected = tuple(expected)
        self._looked = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if getattr(pl_module, "quality", None) is not None:
            return
        for who, name in self._waiting(trainer):
            raise ConfigError(f"{who} waits for {name!r}, and nothing is measured: set model.quality.")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._looked or trainer.sanity_checking:
            return
        self._looked = True
        known = [name for name in trainer.callback_metrics if name.startswith("val/")]
        for who, name in self._waiting(trainer):
            if name not in known:
                kind = MetricMissing if who == _COMPARISON else ConfigError
                gives = f"validation gives {', '.join(known)}"
                raise kind(f"{who} waits for {name!r}, which nobody logs: {gives}{meant(name, known) or '.'}")

    def _waiting(self, trainer: Trainer) -> Iterator[tuple[str, str]]:
        for callback in callbacks_of(trainer):
            name = getattr(callback, "monitor", None)
            if isinstance(name, str) and name.startswith("val/"):
                yield type(callback).__name__, name
        yield from ((_COMPARISON, name) for name in self.expected if name.startswith("val/"))
