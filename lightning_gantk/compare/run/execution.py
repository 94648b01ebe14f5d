"""The driver: starts what is missing, so many runs at once, until nothing is."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from lightning_gantk import files
from lightning_gantk.compare.plan.runs import Run, cells
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.plan.undone import undone
from lightning_gantk.compare.run import executors, preparation
from lightning_gantk.compare.run.display import Board, tally
from lightning_gantk.compare.run.job import RunJob
from lightning_gantk.compare.run.worker import Code
from lightning_gantk.compare.search.trials import known_runs, searches
from lightning_gantk.compare.search.tuner import Tuner
from lightning_gantk.compare.state import Comparison, Phase, State
from lightning_gantk.errors import ConfigError
from lightning_gantk.locks import described

_PAUSE = 0.5  # seconds between looks at the files
_GRACE = 90.0  # seconds for runs to save and stop


def run(specification: Specification, *, parallel: int | None = None, local: bool = False) -> int:
    """Runs what has not finished, and writes the report.

    Args:
        specification: Of the comparison.
        parallel: Runs at once, instead of the specification's.
        local: On this machine, even where there are options for SLURM.

    Returns:
        0 if all runs have finished or diverged, 1 if some have failed, 128 + signal number if it was stopped.

    Raises:
        ConfigError: Before anything runs, if something cannot be done, or another driver is at it; after a run has
            found that a metric of the specification is not logged.
    """
    if parallel is not None and parallel < 1:
        raise ConfigError(f"--parallel must be at least 1, got {parallel}.")
    comparison = Comparison(specification.folder)
    _refuse_second(comparison)
    tuner = None
    if specification.search is not None:
        tuner = Tuner(specification, comparison, searches(specification))
    runs = known_runs(specification, tuner.searches if tuner else [])
    steps = preparation.check(tuner.probes() if tuner else runs, comparison)
    for line in undone(cells(specification)):
        print(line, flush=True)
    with _only_driver(comparison):
        executor = executors.make(specification, comparison, local=local)
        preparation.write(runs, comparison, steps, specification.metrics)
        driver = Driver(specification, runs, comparison, executor, parallel or specification.parallel, steps, tuner)
        code = driver.run()
    if code < 128:
        from lightning_gantk.compare.report.page import write

        print(f"report: {write(specification)[0]}")
    return code


class Driver:
    """Keeps ``parallel`` runs going until none is missing.

    What it knows it reads from the runs' files, so a driver that was killed leaves nothing behind: runs that go on
    without it are waited for by the next.

    Args:
        specification: Of the comparison.
        runs: Its runs, prepared.
        comparison: Its folder.
        executor: submitit's.
        parallel: Runs at once.
        steps: Generator steps of each cell, as ``preparation.check`` gives them.
        tuner: Makes more runs from what these come to.
    """

    def __init__(
        self,
        specification: Specification,
        runs: list[Run],
        comparison: Comparison,
        executor: Any,
        parallel: int,
        steps: dict[str, int | None],
        tuner: Tuner | None = None,
    ):
        self.specification, self.runs, self.comparison = specification, runs, comparison
        self.steps, self.tuner = steps, tuner
        self.executor, self.parallel = executor, parallel
        self.local = executor.cluster == "local"
        self.board = Board(specification, runs, comparison)
        self.jobs: dict[str, Any] = {}
        self.tries: Counter[str] = Counter()
        self._slots: dict[str, int] = {}
        self._signal = 0
        self._mistake = ""  # of the specification, which a run has come upon
        self._told: dict[str, tuple[Phase, int]] = {}

    def run(self) -> int:
        """Until nothing is missing, or a signal comes."""
        console = Console()
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        self._adopt()
        try:
            if console.is_terminal:
                with Live(console=console, auto_refresh=False) as live:
                    for states in self._turns():
                        live.update(self.board.table(states), refresh=True)
            else:
                for states in self._turns():
                    self._tell(states)
            if self._signal:
                self._stop()
                print(f"Stopped by {signal.Signals(self._signal).name}; the same command goes on.", flush=True)
                return 128 + self._signal
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        states = self.board.states()
        print(tally(states), flush=True)
        if self._mistake:
            raise ConfigError(
                f"{self._mistake} Mend 'metrics' of the specification; no other run was started after it."
            )
        bare = [] if self.tuner is None else self.tuner.without_result()
        for cell in bare:
            print(f"{cell}: no trial came to a value, so that there is nothing to compare.")
        return int(bool(bare) or any(one.phase not in (Phase.FINISHED, Phase.DIVERGED) for one in states.values()))

    def _turns(self) -> Iterator[dict[str, State]]:
        stopped: set[str] = set()
        while not self._signal:
            self._drop_jobs_done()
            states = self.board.states(set(self.jobs))
            active = {slug for slug, one in states.items() if one.phase in (Phase.RUNNING, Phase.QUEUED)}
            missing = [run for run in self._in_order() if run.slug not in active and self._wants(run, states[run.slug])]
            self._mistake = self._mistake or self._mistake_of(states)
            if self._mistake:
                missing = []  # those that run go on
            elif (
                self.tuner is not None
                and len(active) + len(missing) < self.parallel
                and self._more(self.tuner, set(states) - active - {run.slug for run in missing})
            ):
                continue  # the new ones are looked at as all others are: an earlier driver may have run them
            for run in missing[: max(0, self.parallel - len(active))]:
                # One that another driver's job has just let go of: how it ended may be about to be written down.
                if states[run.slug].phase != Phase.STOPPED or run.slug in self.tries or run.slug in stopped:
                    self._submit(run, active)
            stopped = {slug for slug, one in states.items() if one.phase == Phase.STOPPED}
            yield states
            if not active and not missing and (self._mistake or self.tuner is None or self.tuner.is_done):
                return
            time.sleep(_PAUSE)

    def _mistake_of(self, states: dict[str, State]) -> str:
        """What a run that was started here says is wrong with the specification; "" where none does."""
        for slug in self.tries:
            if states[slug].phase == Phase.FAILED and self.comparison.run(slug).tried()[-1]["code"] == Code.MISTAKEN:
                return states[slug].error
        return ""

    def _in_order(self) -> list[Run]:
        """Trials first, then all cells with the first seed: a whole comparison, early."""
        seeds = self.specification.seeds
        return sorted(self.runs, key=lambda run: -1 if run.trial is not None else seeds.index(run.seed))

    def _more(self, tuner: Tuner, ended: set[str]) -> list[Run]:
        """Runs that follow from those that have ended, prepared."""
        known = {run.slug for run in self.runs}
        new = [run for run in tuner.more(ended) if run.slug not in known]
        preparation.write(new, self.comparison, self.steps, self.specification.metrics)
        self.runs += new  # those of the board are the same list
        return new

    def _wants(self, run: Run, found: State) -> bool:
        if self.tuner is not None and self.tuner.is_over(run):
            return False
        if found.phase in (Phase.FINISHED, Phase.DIVERGED) or self.tries[run.slug] > self.specification.retries:
            return False
        if found.phase == Phase.FAILED and self.tries[run.slug]:
            last = self.comparison.run(run.slug).tried()[-1]
            return last["code"] != Code.REFUSED and not last.get("late")  # it would end in the same way
        return True

    def _submit(self, run: Run, active: Set[str]) -> None:
        taken = {self._slot_of(slug) for slug in {*self.jobs, *active}}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        environment = executors.environment(self.specification, slot=slot, parallel=self.parallel, local=self.local)
        minutes = self.specification.timeout_minutes
        folder = self.comparison.run(run.slug)
        with _without_interrupts():
            job = self.executor.submit(RunJob(folder.path, environment, minutes and 60 * minutes))
        where = {"cluster": self.executor.cluster, "folder": str(self.executor.folder), "slot": slot}
        known = {"job": job.job_id, **where}
        files.write_json(folder.job, known)
        self.jobs[run.slug], self._slots[run.slug] = job, slot
        self.tries[run.slug] += 1

    def _slot_of(self, slug: str) -> int | None:
        """Which place on this machine a run has, perhaps since an earlier driver; None where nobody says."""
        if slug in self._slots:
            return self._slots[slug]
        return (files.read_json(self.comparison.run(slug).job) or {}).get("slot")

    def _drop_jobs_done(self) -> None:
        for slug, job in list(self.jobs.items()):
            if job.done():
                del self.jobs[slug]
                if job.paths.result_pickle.exists() and job.exception() is None and job.result() == "busy":
                    self.tries[slug] -= 1  # another process has the run

    def _adopt(self) -> None:
        """Finds jobs in the cluster's queue that a driver before this one put there."""
        if self.local:
            return
        from submitit import SlurmJob

        for run in self.runs:
            folder = self.comparison.run(run.slug)
            known = files.read_json(folder.job)
            if folder.finished.exists() or not known or known["cluster"] != self.executor.cluster:
                continue
            job = SlurmJob(known["folder"], known["job"])
            active = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "PREEMPTED", "SUSPENDED")
            if not job.paths.result_pickle.exists() and job.state.upper() in active:
                self.jobs[run.slug], self._slots[run.slug] = job, 0
                self.tries[run.slug] += 1

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def _stop(self) -> None:
        """Has runs on this machine save and stop; those of a cluster go on."""
        if not self.local:
            print(f"{len(self.jobs)} jobs stay with the cluster.", flush=True)
            return
        print("Stopping: the runs save their checkpoints …", flush=True)
        asked: set[int] = set()
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline:
            self._drop_jobs_done()
            running = {slug: one.holder for slug, one in self.board.states().items() if one.holder is not None}
            if not running and not self.jobs:
                return
            wanted = {int(job.job_id) for job in self.jobs.values()}  # submitit passes it on, and the job to the run
            adopted = [running[slug] for slug in set(running) - set(self.jobs)]
            wanted |= {holder["pid"] for holder in adopted if holder["host"] == socket.gethostname()}
            for process in wanted - asked:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
            asked |= wanted
            time.sleep(_PAUSE)

    def _tell(self, states: dict[str, State]) -> None:
        for run in self.runs:
            found = states[run.slug]
            now = (found.phase, found.attempts)
            if self._told.get(run.slug, (Phase.WAITING, 0)) != now and found.phase != Phase.QUEUED:
                again = f" (try {found.attempts})" if found.attempts > 1 and found.phase == Phase.RUNNING else ""
                error = f": {found.error}" if found.error else ""
                print(f"{run.label}: {found.phase.value}{again}{error}", flush=True)
            if found.phase != Phase.QUEUED:
                self._told[run.slug] = now


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keeps Ctrl-C from processes started meanwhile: the driver hears it, and stops them in good order."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _only_driver(comparison: Comparison) -> Iterator[None]:
    if not comparison.lock.acquire():
        _refuse_second(comparison)
        raise ConfigError(f"{comparison.folder} is being run by another process.")
    try:
        yield
    finally:
        comparison.lock.release()


def _refuse_second(comparison: Comparison) -> None:
    holder = comparison.lock.holder()
    if holder is not None:
        raise ConfigError(
            f"{comparison.folder} is being run by {described(holder)}: wait for it or stop it; "
            "'status' shows how far it is."
        )
