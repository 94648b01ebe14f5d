"""Seconds spent in the parts of a training step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up wall time under names, one name at a time.

    A GPU works on after a call has returned, so an honest reading has to wait for it. That costs time itself: it is
    done only where ``exact`` was asked for at ``restart``, and what is read otherwise is not to be reported.

    Attributes:
        seconds: Time by name since ``restart``.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name: str | None = None
        self._since = 0.0
        self._exact = False

    def restart(self, *, exact: bool) -> None:
        """Forgets everything; ``exact`` readings wait for the GPU."""
        self.seconds, self._name, self._exact = {}, None, exact

    def switch(self, name: str | None) -> None:
        """From now on time counts under ``name``; None stops."""
        if self._exact and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._name is not None:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Counts the block under ``name``."""
        self.switch(name)
        yield
        self.switch(None)
