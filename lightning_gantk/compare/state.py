"""Where a run stands, read from its files alone."""

import os
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lightning_gantk import files
from lightning_gantk.locks import Lock

_START = 120.0  # seconds after which a job has begun its run, or never will


class Phase(StrEnum):
    """Of a run."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DIVERGED = "diverged"
    FINISHED = "finished"


class RunFolder:
    """What lies in a run's folder, ``<comparison>/runs/<slug>``.

    ``run.json`` says what it is, ``configs/`` holds its configuration files, ``version_0/`` is the folder that
    ``train.py`` makes, ``log.txt`` all it said. ``attempts/`` has a file for each start, ``finished.json`` is written
    by the run itself, last of all. ``lock`` is held by the process that trains.

    Args:
        path: Of the folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self.plan, self.finished, self.job = (path / f"{name}.json" for name in ("run", "finished", "job"))
        self.configs, self.attempts, self.log = path / "configs", path / "attempts", path / "log.txt"
        self.training = path / "version_0"
        self.checkpoint = self.training / "checkpoints" / "last.ckpt"
        self.lock = Lock(path / "lock")

    def tried(self) -> list[dict[str, Any]]:
        """Its attempts, in order."""
        found = (files.read_json(path) for path in sorted(self.attempts.glob("*.json")))
        return [attempt for attempt in found if attempt is not None]


@dataclass(frozen=True)
class State:
    """Of a run.

    Attributes:
        phase: Where it stands.
        attempts: How often it was started.
        error: Of the last attempt, in one line, where it failed.
        since: When the attempt that is running began, seconds since the epoch.
        seconds: What all attempts took; 0 of one that was killed before it could say.
        holder: The process that trains, while one does.
    """

    phase: Phase
    attempts: int = 0
    error: str = ""
    since: float | None = None
    seconds: float = 0.0
    holder: dict[str, Any] | None = None


def read(folder: RunFolder) -> State:
    """Reads where a run stands; that a job waits in a queue only its driver knows."""
    now = time.time()
    holder = None if folder.finished.exists() else folder.lock.holder()
    tried = folder.tried()  # after the lock, which is let go before an attempt's outcome is written down
    attempts = len(tried)
    seconds = sum(max(0.0, attempt.get("ended", attempt["began"]) - attempt["began"]) for attempt in tried)
    if folder.finished.exists():
        return State(Phase.FINISHED, attempts, seconds=seconds)
    if holder is not None:
        seconds += now - holder["since"]
        return State(Phase.RUNNING, attempts, since=holder["since"], seconds=seconds, holder=holder)
    if not tried:
        return State(Phase.WAITING, attempts, seconds=seconds)
    if tried[-1].get("outcome") in ("failed", "diverged"):
        return State(Phase(tried[-1]["outcome"]), attempts, tried[-1]["error"], seconds=seconds)
    return State(Phase.QUEUED if _starts(tried[-1]) else Phase.STOPPED, attempts, seconds=seconds)


def _starts(attempt: dict[str, Any]) -> bool:
    """Whether its job is there, and the run is about to begin: to import everything takes seconds."""
    if "ended" in attempt or attempt["host"] != socket.gethostname() or time.time() - attempt["began"] > _START:
        return False
    try:
        os.kill(attempt["pid"], 0)
    except ProcessLookupError:
        return False
    return True


class Comparison:
    """The folder of a comparison.

    Args:
        folder: Of it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = Lock(folder / "driver.lock")
        self.jobs = folder / "jobs"
        self._names: dict[str, Path] = {}

    def run(self, slug: str) -> RunFolder:
        """The folder of a run, by its digest: it stays where it is when the cell's name changes."""
        digest = slug.rpartition("-")[-1]
        if digest not in self._names:
            found = sorted((self.folder / "runs").glob(f"*-{digest}"))
            self._names[digest] = found[0] if found else self.folder / "runs" / slug
        return RunFolder(self._names[digest])

    def others(self, slugs: list[str]) -> int:
        """How many runs lie there that are not among these: of an earlier specification."""
        digests = {slug.rpartition("-")[-1] for slug in slugs}
        return sum(path.name.rpartition("-")[-1] not in digests for path in (self.folder / "runs").glob("*-*"))
