"""Folders of runs and the checkpoints in them: ``<root>/<name>/version_<k>/checkpoints``."""

import argparse
import contextlib
import glob
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from lightning_gantk import checkpoint_files, trust
from lightning_gantk.errors import ConfigError
from lightning_gantk.processes import announced_rank
from lightning_gantk.training.own_folder import LOCK


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
        pattern = f"{glob.escape(name) if name else '*'}/version_*/checkpoints/{wanted}*.ckpt"
        found = sorted(Path(root).glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            raise ConfigError(f"there is no {wanted} checkpoint: no file {Path(root) / pattern}.")
        return _chosen(found) if wanted == "best" else found[-1]
    return checkpoint_at(wanted)


def checkpoint_at(place: str | Path) -> Path:
    """A checkpoint's file, or the ``last.ckpt`` of a run's folder.

    Raises:
        ConfigError: If there is no such file.
    """
    path = Path(place)
    if path.is_dir():
        path = path / "checkpoints" / "last.ckpt"
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {path}.")
    return path


def _chosen(found: list[Path]) -> Path:
    """The best of the latest run of these checkpoints: which of several it is, the last one's callbacks know."""
    latest = found[-1]
    of_run, last = [path for path in found if path.parent == latest.parent], latest.with_name("last.ckpt")
    if len(of_run) == 1 or not last.exists():
        return latest
    states = checkpoint_files.read(last).get("callbacks", {}).values()
    names = {Path(state["best_model_path"]).name for state in states if state.get("best_model_path")}
    return next((path for path in of_run if path.name in names), latest)


def folder_of(checkpoint: Path) -> Path | None:
    """The run's folder that a checkpoint lies in; None for one that lies elsewhere."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None


class RunLogger(TensorBoardLogger):
    """A TensorBoard logger whose folder, ``version_<k>``, is made for it alone.

    Runs that start together get folders of their own: the first process of each makes one, which succeeds once for
    each k. Lightning counts the folders that are there, and gives two the same number.

    A value is logged once for a step, whoever logs it again.

    Attributes:
        claimed: Whether the folder was made for this run, in place of going on in that of an earlier process.
        latest: The last step that anything was logged for, and what was, by name.
    """

    claimed = False
    latest: tuple[int, dict[str, Any]] = (-1, {})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step is not None:
            known = self.latest[1] if step == self.latest[0] else {}
            metrics = {name: value for name, value in metrics.items() if name not in known}
            if step >= self.latest[0]:
                self.latest = step, {**known, **metrics}
        if metrics:
            super().log_metrics(metrics, step)

    @property
    def version(self) -> int | str:
        """The number, claimed when it is first asked for."""
        if self._version is None:
            number = super().version
            assert isinstance(number, int)  # Lightning's next, where none is given
            while announced_rank() == 0 and not self._claim(number):
                number += 1
            self._version = number
        return self._version

    def _claim(self, number: int) -> bool:
        try:
            Path(self.root_dir).mkdir(parents=True, exist_ok=True)
            Path(self.root_dir, f"version_{number}").mkdir()
        except FileExistsError:
            return False
        self.claimed = True
        return True


def logger(root: str | Path, name: str, ckpt_path: str | None, *, step: int, same_course: bool) -> RunLogger:
    """A logger, and with it a folder: of a new run, or of the run that is resumed, if it is to be the same run.

    It is another one where that would overwrite something, or make its records untrue: from a checkpoint before the
    last, under another name, or on another course.

    Args:
        root: Where runs are.
        name: Of the run.
        ckpt_path: That it goes on from.
        step: Of that checkpoint.
        same_course: Whether it goes on under the settings that it had.
    """
    checkpoint = Path(ckpt_path or "")
    folder = folder_of(checkpoint)
    if not same_course or checkpoint.name != "last.ckpt" or folder is None or folder.parent.name != name:
        return RunLogger(root, name, default_hp_metric=False)
    # What was logged after the checkpoint was saved will be logged again: TensorBoard is to forget it. Of what was
    # logged for this very step, a part before and a part after, `KeepLoggedPoints` has the former.
    place = {"save_dir": folder.parent.parent, "name": folder.parent.name, "version": folder.name}
    return RunLogger(**place, default_hp_metric=False, purge_step=step)


def without_folder(given: Any) -> list[Logger] | None:
    """The loggers that a run is to have beside its own, which makes its folder; None where theirs makes one.

    Those of Weights & Biases, MLflow and their like keep nothing here that belongs to a run alone.

    Args:
        given: A logger, a list of them, or None or True for none but the run's own.
    """
    loggers = [] if given is None or given is True else list(given) if isinstance(given, list | tuple) else [given]
    return None if loggers and isinstance(loggers[0], TensorBoardLogger | CSVLogger) else loggers


def discard_unused(folder: str | Path | None) -> None:
    """Removes the folder of a run that was refused before anything was logged, so that it does not count as one."""
    if folder is None or not Path(folder).is_dir():
        return
    files = list(Path(folder).iterdir())
    # TensorBoard opens a file before it logs.
    if all(file.name.startswith("events.out.tfevents") or file.name == LOCK for file in files):
        for file in files:
            file.unlink()
        for place in (Path(folder), Path(folder).parent):
            with contextlib.suppress(OSError):  # not empty: other runs of this name
                place.rmdir()


def with_config_of_checkpoint(args: list[str]) -> list[str]:
    """Adds ``--config`` with the configuration of the checkpoint's run, where a checkpoint is all that is given.

    Raises:
        ConfigError: If that names code of others; see ``trust``.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for option in ("--ckpt_path", "--trainer.default_root_dir", "--name"):
        parser.add_argument(option, dest=option.rpartition(".")[-1].strip("-"))
    parser.add_argument("-c", "--config", action="append")
    try:
        given, rest = parser.parse_known_args(args)
    except argparse.ArgumentError:
        return args  # whoever parses them in earnest will say what is wrong
    if given.ckpt_path is None or given.config or not rest:
        return args
    checkpoint = find_checkpoint(given.ckpt_path, given.default_root_dir or "runs", given.name)
    folder = folder_of(checkpoint) if checkpoint is not None else None
    if folder is None or not (folder / "config.yaml").is_file():
        return args
    trust.refuse_foreign_file(folder / "config.yaml")
    command, *others = args
    return [command, "--config", str(folder / "config.yaml"), *others, "--ckpt_path", str(checkpoint)]


def system_of(args: list[str], known: tuple[str, ...], *, default: str) -> str:
    """What the words of a command line, or the files that they name, say of ``system``; the last one holds.

    Raises:
        ConfigError: If it is not known.
    """
    found, words = default, iter(with_config_of_checkpoint(args))
    for word in words:
        name, given, value = word.partition("=")
        if name not in ("--system", "--config", "-c"):
            continue
        value = value if given else next(words, "")
        if name == "--system":
            found = value
        elif Path(value).is_file():
            with contextlib.suppress(OSError, ValueError, yaml.YAMLError):  # the parser will say what is wrong with it
                settings = yaml.safe_load(Path(value).read_text())
                found = settings.get("system", found) if isinstance(settings, dict) else found
    if found not in known:
        raise ConfigError(f"'system' must be one of {', '.join(known)}, got {found!r}.")
    return found
