"""Where a run keeps its things."""

import os
from pathlib import Path
from weakref import WeakKeyDictionary

from lightning.pytorch import Trainer

_agreed: "WeakKeyDictionary[Trainer, Path]" = WeakKeyDictionary()


def run_folder(trainer: Trainer) -> Path:
    """The logger's folder; the trainer's ``default_root_dir`` where there is no logger.

    Lightning finds it out by communication. Where several processes work on the run they must all make the first call;
    ``GAN`` does so before training, and later calls are free.
    """
    if trainer.world_size == 1:
        return Path(trainer.log_dir or trainer.default_root_dir)
    if trainer not in _agreed:
        _agreed[trainer] = Path(trainer.log_dir or trainer.default_root_dir)
    return _agreed[trainer]


def checkpoint_folder(trainer: Trainer) -> Path:
    """Where ``ModelCheckpoint`` puts checkpoints by default, and every other callback of this package too."""
    return run_folder(trainer) / "checkpoints"


def shown(path: str | Path) -> str:
    """A path as a person would type it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) else relative
