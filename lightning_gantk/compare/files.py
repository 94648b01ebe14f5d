"""Files that several processes read and write: each is whole or not there, and a lock dies with its holder."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole: whoever reads it, or finds it after a crash, finds the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=1, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Gives what a file holds; None where there is none, or none that is whole."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


class Lock:
    """A lock on a file, which the kernel takes from its holder when that dies, however it dies.

    The file says who holds it; what it says counts only while it is held.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file: Any = None

    def acquire(self) -> bool:
        """Takes the lock, if nobody has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        for patience in (0.1, 0.2, 0.4, 0.8, 0.0):  # `holder` has it too, for an instant
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    file.close()
                    return False
                time.sleep(patience)
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> dict[str, Any] | None:
        """Who has it: ``pid``, ``host``, ``since``; None if it is free."""
        try:
            file = self.path.open()
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _parsed(file.read())
        return None


def _parsed(text: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except json.JSONDecodeError:  # the holder has not written yet
        return {"pid": 0, "host": "", "since": time.time()}
