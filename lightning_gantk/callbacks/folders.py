"""Where a run keeps its things."""

import os
from pathlib import Path

from lightning.pytorch import Trainer


def run_folder(trainer: Trainer) -> Path:
    """The logger's folder; the trainer's ``default_root_dir`` where there is no logger."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def checkpoint_folder(trainer: Trainer) -> Path:
    """Where ``ModelCheckpoint`` puts checkpoints by default, and every other callback of this package too."""
    return run_folder(trainer) / "checkpoints"


def shown(path: str | Path) -> str:
    """A path as a person would type it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) else relative
