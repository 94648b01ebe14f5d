"""Callbacks that not every run can have."""

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import Callback, Trainer

from lightning_gantk.training.trainer import data_of


class CheckedCallback(Callback, ABC):
    """A callback that looks whether a run is one that it can work with, before anything is trained.

    The command line asks it before the run has a folder; in a script it asks itself when training is set up.

    Examples:
        >>> from lightning_gantk.callbacks import CheckedCallback
        >>> from lightning_gantk.errors import ConfigError
        >>> class Conditional(CheckedCallback):
        ...     def check(self, trainer, gan, data):
        ...         if getattr(gan.generator, "num_classes", None) is None:
        ...             raise ConfigError("Conditional wants a generator of classes.")
    """

    @abstractmethod
    def check(self, trainer: Trainer, gan: Any, data: Any) -> None:
        """Looks at a run.

        Args:
            trainer: Of the run.
            gan: What it trains.
            data: Its data module, or None.

        Raises:
            ConfigError: If the callback cannot work with it.
        """

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self.check(trainer, pl_module, data_of(trainer))
