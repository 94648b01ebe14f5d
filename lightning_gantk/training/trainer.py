"""Attributes of a trainer that Lightning documents, but that its connectors set, where no type checker sees them."""

from typing import Any

from lightning.pytorch import Callback, Trainer


def data_of(trainer: Trainer) -> Any:
    """The data module; None where loaders were given instead."""
    return _seen(trainer).datamodule


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """All of its callbacks."""
    return _seen(trainer).callbacks


def is_only_a_try(trainer: Trainer) -> bool:
    """Whether a few batches are run to see that nothing breaks (``fast_dev_run``): then nothing is to be written."""
    return bool(_seen(trainer).fast_dev_run)


def log_interval(trainer: Trainer) -> int:
    """Every so many steps loggers see one; 0 for never."""
    return _seen(trainer).log_every_n_steps


def _seen(trainer: Trainer) -> Any:
    return trainer
