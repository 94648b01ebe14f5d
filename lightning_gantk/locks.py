"""A lock that dies with its holder."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any


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
            except OSError:  # a file system without locks
                file.close()
                raise
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # children that were forked hold the file open
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


def described(holder: dict[str, Any] | None) -> str:
    """A holder in words; it may have gone since, and be None."""
    return "another process" if holder is None else f"process {holder['pid']} on {holder['host']}"


def _parsed(text: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except json.JSONDecodeError:  # the holder has not written yet
        return {"pid": 0, "host": "", "since": time.time()}
