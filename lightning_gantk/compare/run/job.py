"""What submitit runs: starts the run as a process, waits, and writes down how the attempt ended."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from lightning_gantk import files
from lightning_gantk.compare.run.worker import Code, peak_memory
from lightning_gantk.compare.state import RunFolder

_GRACE = 60.0  # seconds to save a checkpoint in
_ENDS = {
    Code.FINISHED: "finished",
    Code.DIVERGED: "diverged",
    Code.BUSY: "busy",
    Code.INTERRUPTED: "stopped",
    Code.TERMINATED: "stopped",
    -signal.SIGTERM: "stopped",
}


@dataclass
class RunJob:
    """Starts a run and waits for it. On SLURM a job that is preempted saves, and goes on when it is started again.

    Attributes:
        folder: Of the run.
        environment: Variables for it; None takes one away.
        timeout: Seconds after which it is stopped, and has failed.
    """

    folder: Path
    environment: dict[str, str | None] = field(default_factory=dict)
    timeout: float | None = None
    _process: subprocess.Popen | None = field(default=None, init=False, repr=False)
    _told_to_stop: bool = field(default=False, init=False, repr=False)

    def __call__(self) -> str:
        """Runs it.

        Returns:
            How the attempt ended: "finished", "failed", "diverged", "stopped", or "busy" where another process has it.
        """
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            # The driver's. A cluster sends its own SIGTERM before it takes a job away, and submitit ignores that.
            signal.signal(signal.SIGTERM, self._pass_on)
        run, rank = RunFolder(self.folder), int(os.environ.get("SLURM_PROCID", 0))
        began = time.time()
        record: dict[str, Any] = {"began": began, "pid": os.getpid(), "host": socket.gethostname()}
        place = run.attempts / f"{time.time_ns()}-{os.getpid()}.json"
        if rank == 0:
            files.write_json(place, record)
        log = run.log if rank == 0 else run.log.with_name(f"log.{rank}.txt")
        with log.open("ab") as out:
            out.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            out.flush()
            start = out.tell()
            code, late = self._wait(out)
        outcome = "failed" if late else _ENDS.get(code, "failed")
        record |= {"ended": time.time(), "code": code, "outcome": outcome, "late": late}
        record["peak_memory"] = peak_memory(resource.RUSAGE_CHILDREN)
        if outcome in ("failed", "diverged"):
            record["error"] = (
                f"took longer than {(self.timeout or 0) / 60:g} minutes" if late else _error(code, log, start)
            )
        if rank == 0:
            if outcome == "busy":
                place.unlink(missing_ok=True)  # no attempt at all
            else:
                files.write_json(place, record)
        return outcome

    def checkpoint(self) -> Any:
        """Called by submitit before the cluster takes the job away: saves, and asks for the same job again."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            _stop(self._process)
        return DelayedSubmission(RunJob(self.folder, self.environment, self.timeout))

    def _wait(self, out: Any) -> tuple[int, bool]:
        environment = {**os.environ, **{key: value for key, value in self.environment.items() if value is not None}}
        for key, value in self.environment.items():
            if value is None:
                environment.pop(key, None)
        self._process = process = subprocess.Popen(
            [sys.executable, "-u", "-m", "lightning_gantk.compare.run.worker", str(self.folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        if self._told_to_stop:  # before there was a process to tell
            process.terminate()
        code = _poll(process, self.timeout)
        return (_stop(process), True) if code is None else (code, False)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._told_to_stop = True
        if self._process is not None:
            self._process.terminate()


def _stop(process: subprocess.Popen) -> int:
    process.terminate()
    code = _poll(process, _GRACE)
    if code is not None:
        return code
    process.kill()
    while (code := _poll(process, _GRACE)) is None:
        pass
    return code


def _poll(process: subprocess.Popen, seconds: float | None) -> int | None:
    # Not Popen.wait: `checkpoint` is called from a signal handler, amid another wait, which holds Popen's lock.
    end = None if seconds is None else time.monotonic() + seconds
    while (code := process.poll()) is None and (end is None or time.monotonic() < end):
        time.sleep(0.1)
    return code


def _error(code: int, log: Path, start: int) -> str:
    """The last line that says something of its own; of a traceback that is the error itself."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith((" ", "\t", "---"))]
    last = said[-1].removeprefix("gantk: ") if said else ""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}" + (f", after: {last}" if last else "")
    return last or f"left with exit code {code} and said nothing"
