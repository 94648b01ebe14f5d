"""A trainer used from Python has its folder for itself, as the command line has."""

import threading

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from tiny import tiny_fit

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.errors import ConfigError
from lightning_gantk.locks import Lock
from lightning_gantk.training.own_folder import locked


def _logger(folder):
    return {"logger": CSVLogger(folder, "run", version=0), "max_steps": 2}


class Looks(Callback):
    """Notes whether the folder is locked at each step."""

    def __init__(self, path, error=None):
        self.path, self.error, self.found = path, error, []

    def on_train_batch_end(self, trainer, *args):
        self.found.append(Lock(self.path).holder() is not None)
        if self.error:
            raise self.error


def test_folder_is_locked_while_a_trainer_trains_and_free_afterwards(tmp_path):
    lock = tmp_path / "run" / "version_0" / "lock"
    looks = Looks(lock)
    tiny_fit(tmp_path, looks, LastCheckpoint(), trainer=_logger(tmp_path))
    assert looks.found == [True, True] and Lock(lock).holder() is None
    with pytest.raises(ZeroDivisionError):
        tiny_fit(tmp_path, Looks(lock, ZeroDivisionError()), trainer=_logger(tmp_path))
    assert Lock(lock).holder() is None


def test_second_trainer_on_a_folder_is_refused_and_told_who_has_it(tmp_path, hold):
    holder = hold(tmp_path / "run" / "version_0" / "lock")
    with pytest.raises(ConfigError, match=f"version_0 is being written by process {holder.pid} on .*another version"):
        tiny_fit(tmp_path, trainer=_logger(tmp_path))


def test_trainer_that_writes_nothing_locks_nothing(tmp_path, hold):
    hold(tmp_path / "lock")
    tiny_fit(tmp_path, trainer={"logger": False, "max_steps": 1})


def test_a_thread_may_lock_again_what_it_has_and_another_may_not(tmp_path):
    refused = []

    def other():
        with pytest.raises(ConfigError, match="being written") as caught, locked(tmp_path):
            pass
        refused.append(caught)

    with locked(tmp_path), locked(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused and Lock(tmp_path / "lock").holder() is None
