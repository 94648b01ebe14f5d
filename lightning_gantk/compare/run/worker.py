"""One run, in a process of its own: ``train.py fit``, and then the mark that it has finished.

``python -m lightning_gantk.compare.run.worker FOLDER PARENT``. The exit code says how it went: see ``Code``.
"""

import ctypes
import os
import resource
import shutil
import signal
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import Any

from lightning_gantk import files
from lightning_gantk.compare.state import RunFolder
from lightning_gantk.processes import announced_rank


class Code(IntEnum):
    """Exit codes of a run; any other is a failure."""

    FINISHED = 0
    REFUSED = 2
    DIVERGED = 3
    MISTAKEN = 4  # refused, for what the specification asks of every run
    BUSY = 75
    INTERRUPTED = 130
    TERMINATED = 143


def main(folder: RunFolder, *, parent: int | None = None) -> int:
    """Trains, goes on from the last checkpoint where there is one, and marks the run as finished.

    Args:
        folder: Of the run.
        parent: The process without which it is to stop.

    Returns:
        A ``Code``, or another number where the run has failed.
    """
    leads = announced_rank() == 0
    _end_with_parent(parent if leads else None)
    if leads and not folder.lock.acquire():
        print(f"another process is running {folder.path}")
        return Code.BUSY
    if folder.finished.exists():
        return Code.FINISHED
    plan = files.read_json(folder.plan)
    began = time.time()

    from lightning_gantk import cli
    from lightning_gantk.errors import MetricMissing, TrainingDiverged

    words = [*plan["arguments"], f"--trainer.default_root_dir={folder.path.parent}", f"--name={folder.path.name}"]
    try:
        words = ["fit", *words, "--trainer.enable_progress_bar=false", *_resumption(folder, leads)]
        command = cli.main(words, expected=plan.get("metrics", ()))
    except SystemExit as stopped:
        if isinstance(stopped.__context__, TrainingDiverged):
            return Code.DIVERGED
        if isinstance(stopped.__context__, MetricMissing):
            return Code.MISTAKEN
        return stopped.code if isinstance(stopped.code, int) else 1
    if leads:
        files.write_json(folder.finished, _record(folder, command, began))
    return Code.FINISHED


def _resumption(folder: RunFolder, leads: bool) -> list[str]:
    """The checkpoint to go on from; none, and nothing that an attempt without one has left, where it cannot be read."""
    from lightning_gantk import checkpoint_files
    from lightning_gantk.errors import ConfigError

    if folder.checkpoint.exists():
        try:
            checkpoint_files.read(folder.checkpoint)
            return [f"--ckpt_path={folder.checkpoint}"]
        except ConfigError as error:
            print(f"The run starts anew: {error}")
    if leads:
        shutil.rmtree(folder.training, ignore_errors=True)
    return []


def _record(folder: RunFolder, command: Any, began: float) -> dict[str, Any]:
    """What the logs do not say."""
    import torch

    from lightning_gantk.compare.run import machine

    peaks = [attempt.get("peak_memory", 0) for attempt in folder.tried()]
    peaks.append(peak_memory(resource.RUSAGE_SELF))
    return {
        "steps": command.trainer.global_step,
        "processes": command.trainer.world_size,
        "threads": torch.get_num_threads(),
        "finished": time.time(),
        "last_attempt_seconds": time.time() - began,
        "peak_memory": max(peaks),
        "peak_gpu_memory": machine.peak_gpu_memory(),
        "parameters": sum(parameter.numel() for parameter in command.model.generator.parameters()),
        "machine": machine.hardware(),
        "versions": machine.versions(),
    }


def peak_memory(whose: int) -> int:
    """The most bytes that the process (``resource.RUSAGE_SELF``), or any of its children, has held."""
    return resource.getrusage(whose).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _end_with_parent(parent: int | None) -> None:
    """Has the kernel send SIGTERM when the parent dies, upon which a run saves and stops."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if parent is not None and os.getppid() != parent:  # it was dead already
        raise SystemExit(Code.TERMINATED)


if __name__ == "__main__":
    FOLDER = RunFolder(Path(sys.argv[1]))  # its lock is held until the process has gone, which may take a while
    raise SystemExit(main(FOLDER, parent=int(sys.argv[2])))
