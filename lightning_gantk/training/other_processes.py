"""When one of several processes dies, the others stop, say so, and name the checkpoint to go on from."""

import contextlib
import os
import socket
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk.errors import ConfigError, ProcessLost, TrainingDiverged
from lightning_gantk.training.folders import run_folder, shown

_BEAT = 1.0  # seconds between looks at the others
_SILENCE = 30.0  # seconds after which a process on another machine, of which nothing is heard, counts as dead
_GRACE = 10.0  # seconds in which a process that waits for a dead one may find out by itself


class WatchOtherProcesses(Callback):
    """Ends a run within a minute of the death of one of its processes, in all others.

    ``GAN`` brings this callback along. A process that waits for a message from a dead one finds out at once (gloo), in
    ten minutes (NCCL) or never. A thread looks after the others: on the same machine whether they are there, on other
    machines whether they still count. Where the training itself does not stop soon, the thread ends the process; the
    state of a step that was cut off cannot be saved, and the run goes on from its last checkpoint.
    """

    def __init__(self) -> None:
        self._watch: _Watch | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1 and torch.distributed.is_initialized() and self._watch is None:
            run_folder(trainer)  # while all can be asked
            self._watch = _Watch(trainer)
            self._watch.start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._watch is None:
            return
        expected = isinstance(exception, ConfigError | TrainingDiverged | SystemExit | KeyboardInterrupt)
        gone = None if expected else self._watch.gone(patience=2.0)
        if gone is None:
            self._end()
            return
        self._watch.leave()  # the thread stays, in case that leaving hangs
        with contextlib.suppress(Exception):
            for logger in trainer.loggers:
                logger.finalize("failed")
        raise ProcessLost(self._watch.message(gone)) from exception

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._watch = None


class _Watch(threading.Thread):
    """Of the other processes of a run."""

    def __init__(self, trainer: Trainer):
        super().__init__(daemon=True, name="other-processes")
        self._trainer = trainer
        self._rank, self._count = trainer.global_rank, trainer.world_size
        places: list[Any] = [None] * self._count
        torch.distributed.all_gather_object(places, (socket.gethostname(), os.getpid()))
        here = socket.gethostname()
        self._near = {rank: pid for rank, (host, pid) in enumerate(places) if host == here and rank != self._rank}
        self._far = {rank: place for rank, place in enumerate(places) if place[0] != here}
        self._names = [f"process {rank} of {self._count} ({pid} on {host})" for rank, (host, pid) in enumerate(places)]
        self._beats = _Beats(self._rank, self._count) if len({host for host, _ in places}) > 1 else None
        self._stopped = threading.Event()
        self._leaving: float | None = None

    def stop(self) -> None:
        self._stopped.set()

    def leave(self) -> None:
        """The process is about to end by itself."""
        self._leaving = time.monotonic()

    def run(self) -> None:
        found: int | None = None
        since = 0.0
        while not self._stopped.wait(_BEAT):
            if found is None:
                found, since = self.gone(), time.monotonic()
            elif time.monotonic() - max(since, self._leaving or 0.0) > _GRACE:
                if self._leaving is None:
                    print(f"gantk: {self.message(found)}", file=sys.stderr, flush=True)
                    with contextlib.suppress(Exception):
                        for logger in self._trainer.loggers:
                            logger.finalize("failed")
                os._exit(1)

    def gone(self, patience: float = 0.0) -> int | None:
        """A process that has died; None while all are there."""
        end = time.monotonic() + patience
        while True:
            for rank, pid in self._near.items():
                if not _lives(pid):
                    return rank
            if self._beats is not None and (silent := self._beats.silent(self._far)) is not None:
                return silent
            if time.monotonic() >= end:
                return None
            time.sleep(0.1)

    def message(self, gone: int) -> str:
        """What a person is to know."""
        path = run_folder(self._trainer) / "checkpoints" / "last.ckpt"
        where = f"resume with --ckpt_path {shown(path)}" if path.is_file() else "there is no checkpoint yet: start anew"
        step = self._trainer.global_step
        return f"{self._names[gone]} has died, and the run stops after generator step {step}; {where}"


class _Beats:
    """Counts that the processes of several machines keep in a store of the first, while they live."""

    def __init__(self, rank: int, count: int):
        address = os.environ.get("MASTER_ADDR", "localhost")
        ports: list[Any] = [None]
        options = {"world_size": None, "timeout": timedelta(seconds=_SILENCE), "wait_for_workers": False}
        store = torch.distributed.TCPStore  # pyright: ignore[reportPrivateImportUsage]  # documented, but not listed
        if rank == 0:
            self._store = store(address, 0, is_master=True, **options)
            ports = [self._store.port]
        torch.distributed.broadcast_object_list(ports, 0)
        if rank != 0:
            self._store = store(address, ports[0], is_master=False, **options)
        self._rank = rank
        self._seen = {other: (0, time.monotonic()) for other in range(count)}

    def silent(self, others: Any) -> int | None:
        """One of the others that has not counted on for long; None while all do."""
        now = time.monotonic()
        try:
            self._store.add(f"alive/{self._rank}", 1)
            for other in others:
                count = self._store.add(f"alive/{other}", 0)
                if count != self._seen[other][0]:
                    self._seen[other] = (count, now)
        except RuntimeError:  # the store has gone, and the first process with it: nobody counts on
            pass
        return next((other for other in others if now - self._seen[other][1] > _SILENCE), None)


def _lives(pid: int) -> bool:
    """Whether a process of this machine is there; one that has ended and that nobody has asked after is not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except OSError:  # not ours to signal, or a system without /proc
        return True
