"""Checkpoint files: written whole, and read without trust."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Trainer

from lightning_gantk.errors import ConfigError
from lightning_gantk.files import replaced

_NEEDED = ("state_dict", "global_step", "loops")


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's checkpoints, written beside their target, flushed to disk and renamed; read by ``read``.

    Lightning 2.6 writes through the temporary folder. Where that is on another file system the last act is a copy, and
    a process killed amid it leaves half a checkpoint in place of the one before.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint; the one before stays where that cannot be done.

        Raises:
            OSError: If the file cannot be written.
        """
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with replaced(path) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, location: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint, with plain values and tensors alone in it unless ``weights_only`` is False.

        Raises:
            ConfigError: If it is none, or damaged.
        """
        if weights_only is False or "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only is not False)
        return read(path, map_location=map_location)


def use_for(trainer: Trainer) -> None:
    """Puts ``CheckpointFiles`` where Lightning's own stands; what the user or a strategy has chosen stays."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = CheckpointFiles()


def read(path: str | Path, *, map_location: Any = "cpu") -> dict[str, Any]:
    """Gives what a run's checkpoint holds: tensors and plain values, of which loading runs no code.

    Args:
        path: Of the file.
        map_location: As for ``torch.load``.

    Raises:
        ConfigError: If the file cannot be opened, is no checkpoint, is damaged, or holds other objects.
    """
    other = "take another checkpoint of the run, or start anew."
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch does not look at the checksums that it writes
                raise zipfile.BadZipFile
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except zipfile.BadZipFile as error:
        raise ConfigError(f"{path} {_what(Path(path))} {other}") from error
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds Python objects beside tensors and plain values. To load them could run any code, so they "
            f"are not loaded; a checkpoint of this package has none: {other}"
        ) from error
    except Exception as error:  # a file made to deceive fails in as many ways as there are
        raise ConfigError(f"{path} cannot be read as a checkpoint ({type(error).__name__}); {other}") from error
    missing = [key for key in _NEEDED if not isinstance(checkpoint, dict) or key not in checkpoint]
    if missing:
        raise ConfigError(f"{path} is a file of torch's but no checkpoint of a run: it has no {missing[0]!r}; {other}")
    return checkpoint


def _what(path: Path) -> str:
    """What a file is that torch has not written, or not to its end."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "is empty;"
    if start == b"PK\x03\x04":
        return "is damaged or cut short: it was not written, or not copied, to its end;"
    return "is no checkpoint: torch has not written it;"
