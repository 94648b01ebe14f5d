"""Files that are whole or not there, for whoever reads them and after any crash."""

import contextlib
import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """Gives a buffer to write a file to, which takes the place of the old one as a whole when the block ends.

    The new file is written beside the old, flushed to disk and renamed: on one file system, whatever the temporary
    folder lies on. Where the block or the writing fails, nothing has changed and nothing is left behind.

    Raises:
        OSError: If it cannot be written, with the file's name.
    """
    path, buffer = Path(path), io.BytesIO()
    yield buffer
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole: whoever reads it, or finds it after a crash, finds the old or the new."""
    with replaced(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a value as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=1, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Gives what a file holds; None where there is none, or none that is whole."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def sweep(folder: Path) -> None:
    """Removes what processes that were killed amid writing left in a folder that nobody else writes to now."""
    for part in folder.glob(".*.*.[0-9]*.part"):  # as ``replaced`` names them: the folder may hold others' files
        with contextlib.suppress(OSError):
            part.unlink()


def _flush_folder(folder: Path) -> None:
    """Makes the disk know the new name; not all systems can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
