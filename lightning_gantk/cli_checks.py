"""Settings of a run that cannot be, refused before anything is made: numbers, names, places."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

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


def refuse_impossible(options: Any, *, writes: bool) -> None:
    """Looks through the settings of a command.

    Args:
        options: Of its parser.
        writes: Whether the command makes a run's folder.

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
    if writes and not trainer.fast_dev_run:
        _check_place(trainer.default_root_dir)


def refuse_dropped(words: Iterable[str], options: Any) -> None:
    """Refuses an option of a class that is not among the settings: the class was another one when it was given.

    Args:
        words: Of the command line.
        options: The settings that came of them.

    Raises:
        ConfigError: At the first.
    """
    for word in words:
        key = word[2:].partition("=")[0].removesuffix("+")
        if not word.startswith("--") or "." not in key:
            continue
        node, seen, of_class = options, [], False
        for part in key.split("."):
            known = vars(node) if isinstance(node, Namespace) else node
            if not isinstance(known, dict) or "dict_kwargs" in known:
                break
            if "class_path" in known and part not in ("class_path", "init_args"):  # the short form
                known, of_class = vars(known.get("init_args") or Namespace()), True
            if part not in known and not of_class:
                break
            if part not in known:
                where = ".".join(seen).removesuffix(".init_args")
                raise ConfigError(
                    f"--{key} was given before {where} became another class, which has no option {part!r}: leave it "
                    "out, or give the class first."
                )
            node, of_class = known[part], part == "init_args"
            seen.append(part)


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
