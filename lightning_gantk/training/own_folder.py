"""A run's folder, for one run alone."""

import contextlib
import errno
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk.errors import Advice, ConfigError
from lightning_gantk.files import sweep
from lightning_gantk.locks import Lock, described
from lightning_gantk.training.folders import run_folder, shown
from lightning_gantk.training.trainer import is_only_a_try

LOCK = "lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_own: dict[Path, int] = {}  # folders that this process has locked, and the thread that did


class OwnFolder(Callback):
    """Locks a run's folder while it trains.

    ``GAN`` brings this callback along, so that a ``Trainer`` used from Python refuses a second run in the folder of one
    that is being written, as the command line does (which locks it a little earlier). Only what is written to is
    locked: a trainer with neither logger nor checkpoints has no folder.
    """

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit" or is_only_a_try(trainer) or not (trainer.loggers or trainer.checkpoint_callbacks):
            return
        folder = run_folder(trainer)  # which every process has to ask
        if trainer.is_global_zero and "://" not in str(folder):
            self._held.enter_context(locked(folder))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._held.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._held.close()


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keeps others from writing to a run's folder; sweeps out what one that was killed has left half-written.

    Within the block the same thread may ask again.

    Raises:
        ConfigError: If another process, or another thread of this one, is at it.
    """
    folder = Path(folder).resolve()
    if _own.get(folder) == threading.get_ident():
        yield
        return
    lock = Lock(folder / LOCK)
    try:
        taken = lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(f"The file system of {folder} has no locks: start no second process on it.", Advice, stacklevel=2)
        yield
        return
    if not taken:
        raise ConfigError(
            f"{shown(folder)} is being written by {described(lock.holder())}: wait for it or stop it; a new run "
            "(without --ckpt_path; from Python, with a logger of another version) gets a folder of its own."
        )
    _own[folder] = threading.get_ident()
    try:
        sweep(folder / "checkpoints")
        sweep(folder)
        yield
    finally:
        del _own[folder]
        lock.release()
