"""Downloads that give up: in time, in size, and at a wrong checksum."""

import hashlib
import io
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lightning_gantk.files import replaced

_SILENCE = 30.0  # seconds that a server may stay silent
_PART = 2**20


def fetch(url: str, path: Path, *, largest: int, checksum: str | None = None) -> None:
    """Downloads a file, whole or not at all.

    Args:
        url: Its address.
        path: Where it goes.
        largest: Bytes, beyond which it is not the file that was meant.
        checksum: "sha256:" or "md5:" and the hexadecimal digits, or the first of them.

    Raises:
        OSError: If it cannot be had, is too large, or has another checksum.
    """
    with urllib.request.urlopen(url, timeout=_SILENCE) as answer, replaced(path) as file:
        if url.startswith("https:") and not answer.geturl().startswith("https:"):
            raise OSError(f"{url} leads to {answer.geturl()}, which is not https")
        limited, announced = _Limited(file, url, largest, checksum), answer.headers.get("Content-Length")
        while part := answer.read(_PART):
            limited.write(part)
        if announced is not None and file.tell() < int(announced):  # urllib takes a closed connection for the end
            raise OSError(f"{url} broke off after {file.tell():,} of {int(announced):,} bytes")
        limited.check()


def fetch_from_drive(key: str, path: Path, *, largest: int, checksum: str) -> None:
    """The same of a file on Google Drive, by its key there, through gdown, which knows no limits; a file of any size
    goes straight to disk.

    Raises:
        OSError: As for ``fetch``.
        ImportError: If there is no gdown.
    """
    import gdown  # pyright: ignore[reportMissingImports]  # an extra

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file, socket_timeout():
            limited = _Limited(file, path.name, largest, checksum)
            gdown.download(id=key, output=limited, quiet=True)
            limited.check()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Limited(io.BufferedIOBase, BinaryIO):
    """A file that takes so many bytes and no more, and knows whether they were the right ones."""

    def __init__(self, file: Any, name: str, largest: int, checksum: str | None):
        self._file, self._name, self._largest = file, name, largest
        self._algorithm, _, self._expected = (checksum or "sha256:").lower().partition(":")
        self._digest = hashlib.new(self._algorithm)

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        if self._file.tell() + len(part) > self._largest:
            raise OSError(f"{self._name} has more than {self._largest:,} bytes, and was to have fewer")
        self._digest.update(part)
        return self._file.write(part)

    def check(self) -> None:
        """Refuses what has another checksum."""
        if not (found := self._digest.hexdigest()).startswith(self._expected):
            raise OSError(f"{self._name} has the {self._algorithm} sum {found}, and {self._expected} was expected")


@contextmanager
def socket_timeout(seconds: float = _SILENCE) -> Iterator[None]:
    """Sets how long a socket may stay silent, for libraries that pass none on and would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
