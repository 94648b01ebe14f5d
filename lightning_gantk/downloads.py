"""Downloads that give up."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def socket_timeout(seconds: float = 30.0) -> Iterator[None]:
    """Sets how long a socket may stay silent, for libraries that pass none on and would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
