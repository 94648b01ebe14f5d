"""Folders of runs and the checkpoints in them: ``<root>/<name>/version_<k>/checkpoints``."""

import argparse
import contextlib
from collections.abc import Iterable
from pathlib import Path

import torch
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gantk.errors import ConfigError


def name_of(configs: Iterable[object]) -> str:
    """Names a run after its configuration files: ``quickstart-finite_lsgan``."""
    return "-".join(Path(str(config)).stem for config in configs) or "run"


def find_checkpoint(wanted: str | Path | None, root: str | Path, name: str | None = None) -> Path | None:
    """The file that ``--ckpt_path`` means.

    Args:
        wanted: A file, the folder of a run (its ``last.ckpt``), or "last" or "best": of the latest run that has one.
        root: Where runs are.
        name: Among runs of this name; of any where none is given.

    Returns:
        An existing file; None where nothing is wanted.

    Raises:
        ConfigError: If there is no such file.
    """
    if wanted is None:
        return None
    if str(wanted) in ("last", "best"):
        pattern = f"{name or '*'}/version_*/checkpoints/{wanted}*.ckpt"
        found = sorted(Path(root).glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            raise ConfigError(f"there is no {wanted} checkpoint: no file {Path(root) / pattern}.")
        return found[-1]
    path = Path(wanted)
    if path.is_dir():
        path = path / "checkpoints" / "last.ckpt"
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {path}.")
    return path


def folder_of(checkpoint: Path) -> Path | None:
    """The run's folder that a checkpoint lies in; None for one that lies elsewhere."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None


def logger(root: str | Path, name: str, ckpt_path: str | None) -> TensorBoardLogger:
    """A logger, and with it a folder: of a new run, or of the run that is resumed, if it is to be the same run.

    It is another one where that would overwrite something: from a checkpoint before the last, or under another name.
    """
    checkpoint = Path(ckpt_path or "")
    folder = folder_of(checkpoint)
    if checkpoint.name != "last.ckpt" or folder is None or folder.parent.name != name:
        return TensorBoardLogger(root, name, default_hp_metric=False)
    # What was logged after the checkpoint was saved will be logged again: TensorBoard is to forget it.
    done = torch.load(checkpoint, weights_only=True, map_location="cpu", mmap=True)["global_step"]
    place = {"save_dir": folder.parent.parent, "name": folder.parent.name, "version": folder.name}
    return TensorBoardLogger(**place, default_hp_metric=False, purge_step=done + 1)


def discard_unused(folder: str | Path | None) -> None:
    """Removes the folder of a run that was refused before anything was logged, so that it does not count as one."""
    files = [] if folder is None or not Path(folder).is_dir() else list(Path(folder).iterdir())
    if all(file.name.startswith("events.out.tfevents") for file in files):  # TensorBoard opens one before it logs
        for file in files:
            file.unlink()
        for place in (Path(folder), Path(folder).parent) if files else ():
            with contextlib.suppress(OSError):  # not empty: other runs of this name
                place.rmdir()


def with_config_of_checkpoint(args: list[str]) -> list[str]:
    """Adds ``--config`` with the configuration of the checkpoint's run, where a checkpoint is all that is given."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for option in ("--ckpt_path", "--trainer.default_root_dir"):
        parser.add_argument(option, dest=option.rpartition(".")[-1].strip("-"))
    parser.add_argument("-c", "--config", action="append")
    try:
        given, rest = parser.parse_known_args(args)
    except argparse.ArgumentError:
        return args  # whoever parses them in earnest will say what is wrong
    if given.ckpt_path is None or given.config or not rest:
        return args
    checkpoint = find_checkpoint(given.ckpt_path, given.default_root_dir or "runs")
    folder = folder_of(checkpoint) if checkpoint is not None else None
    if folder is None or not (folder / "config.yaml").is_file():
        return args
    command, *others = args
    return [command, "--config", str(folder / "config.yaml"), *others, "--ckpt_path", str(checkpoint)]
