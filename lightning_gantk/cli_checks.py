"""Settings of a run that cannot be, refused before anything is made: numbers, names, places."""

import os
from pathlib import Path
from typing import Any

from lightning_gantk.errors import ConfigError

_LARGEST_SEED = 2**32 - 1  # numpy's
# What Lightning divides by, or takes for something else, without a word.
_LEAST = {
    "accumulate_grad_batches": 1,
    "log_every_n_steps": 0,
    "gradient_clip_val": 0,
    "check_val_every_n_epoch": 1,
    "max_epochs": -1,
    "max_steps": -1,
}


def refuse_impossible(options: Any) -> None:
    """Looks through the settings of a command.

    Args:
        options: Of its parser.

    Raises:
        ConfigError: At the first that cannot be.
    """
    trainer = options.trainer
    for name, least in _LEAST.items():
        value = trainer.get(name)
        if value is not None and not value >= least:
            raise ConfigError(f"trainer.{name} must be at least {least}, got {value}.")
    every = trainer.get("val_check_interval")
    if isinstance(every, int | float) and not every > 0:
        raise ConfigError(
            f"trainer.val_check_interval must be positive, got {every}: generator steps from one validation to the "
            "next; trainer.limit_val_batches=0 makes none."
        )
    seed = options.seed_everything
    if not isinstance(seed, bool) and seed is not None and not 0 <= seed <= _LARGEST_SEED:
        raise ConfigError(f"seed_everything must lie between 0 and {_LARGEST_SEED}, got {seed}.")
    _check_name(options.name)
    if not trainer.fast_dev_run:
        _check_place(trainer.default_root_dir)


def _check_name(name: str | None) -> None:
    if name is not None and (name in ("", ".", "..") or any(mark in name for mark in "/\\\0")):
        raise ConfigError(
            f"name must be a plain name for a folder among the runs, got {name!r}; trainer.default_root_dir says where "
            "the runs are."
        )


def _check_place(root: str | None) -> None:
    if root is None or "://" in str(root):
        return
    place = Path(root)
    there = next(parent for parent in (place, *place.absolute().parents) if os.path.lexists(parent))
    if not there.is_dir():
        raise ConfigError(f"trainer.default_root_dir={root} cannot be a folder: {there} is a file.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"trainer.default_root_dir={root} cannot be written to: {there} does not allow it.")
