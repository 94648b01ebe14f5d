"""The table of runs, live."""

import time
from collections.abc import Set
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lightning_gantk import files
from lightning_gantk.compare import state
from lightning_gantk.compare.plan.runs import Run
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.report.logs import Logs
from lightning_gantk.compare.search.trials import known_runs, searches
from lightning_gantk.compare.state import Comparison, Phase, State

_STYLES = {
    Phase.WAITING: "dim",
    Phase.QUEUED: "cyan",
    Phase.RUNNING: "bold blue",
    Phase.STOPPED: "yellow",
    Phase.FAILED: "bold red",
    Phase.DIVERGED: "red",
    Phase.FINISHED: "green",
}


class Board:
    """What is known of all runs, as a table.

    Args:
        specification: Of the comparison.
        runs: Its runs.
        comparison: Its folder.
    """

    def __init__(self, specification: Specification, runs: list[Run], comparison: Comparison):
        self.specification, self.runs, self.comparison = specification, runs, comparison
        self._logs: dict[str, Logs] = {}
        self._done: set[str] = set()

    def states(self, queued: Set[str] = frozenset()) -> dict[str, State]:
        """Where each run stands, by its slug; ``queued`` are those whose job has not begun."""
        found = {}
        for run in self.runs:
            found[run.slug] = state.read(self.comparison.run(run.slug))
            if run.slug in queued and found[run.slug].phase != Phase.RUNNING:
                found[run.slug] = State(Phase.QUEUED, found[run.slug].attempts, seconds=found[run.slug].seconds)
        return found

    def table(self, states: dict[str, State]) -> Table:
        """Of all runs."""
        metric = next(iter(self.specification.metrics))
        table = Table(title=self.specification.title, caption=tally(states), title_justify="left", expand=False)
        again = any(found.attempts > 1 for found in states.values())
        failed = any(found.error for found in states.values())
        table.add_column("run", min_width=12)
        for name, right in (("", True), ("state", False), ("step", True), (metric, True), ("elapsed", True)):
            table.add_column(name, justify="right" if right else "left", no_wrap=True)
        if again:
            table.add_column("tries", justify="right")
        if failed:
            table.add_column("error", overflow="fold", max_width=60)
        before = None
        for run in self.runs:
            found = states[run.slug]
            logs = self._read(run, found.phase)
            values = logs.scalars[metric].values() if metric in logs.scalars else {}
            latest = f"{list(values.values())[-1]:.4g}" if values else ""
            table.add_row(
                run.cell if run.cell != before else "",
                run.which,
                Text(found.phase.value, _STYLES[found.phase]),
                self._progress(run, logs),
                latest,
                str(timedelta(seconds=round(found.seconds))) if found.attempts else "",
                *([str(found.attempts or "")] if again else []),
                *([Text(found.error)] if failed else []),
            )
            before = run.cell
        return table

    def _progress(self, run: Run, logs: Logs) -> str:
        folder = self.comparison.run(run.slug)
        finished, plan = files.read_json(folder.finished), files.read_json(folder.plan)
        step = finished["steps"] if finished else logs.step()
        whole = (plan or {}).get("max_steps") or -1
        if (budget := self.specification.budget) is not None:
            seconds = dict(budget.settings)["budget.seconds"]
            if run.trial is not None and (plan := self.specification.search) is not None and plan.seconds is not None:
                seconds = plan.seconds
            return f"{step} ({logs.seconds():.0f} / {seconds:g} s)"
        return f"{step} / {whole}" if whole > 0 else str(step or "")

    def _read(self, run: Run, phase: Phase) -> Logs:
        logs = self._logs.setdefault(run.slug, Logs(self.comparison.run(run.slug).training))
        if run.slug not in self._done:
            logs.refresh()
            if phase == Phase.FINISHED:
                self._done.add(run.slug)
        return logs


def watch(specification: Specification, *, once: bool) -> int:
    """Shows the table, once or until all runs have ended or Ctrl-C is pressed."""
    console, comparison = Console(), Comparison(specification.folder)
    board = Board(specification, known_runs(specification, searches(specification)), comparison)
    if once:
        console.print(board.table(board.states()))
        console.print(_driver(comparison))
        return 0
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                board.runs = known_runs(specification, searches(specification))  # a search makes more of them
                states = board.states()
                live.update(board.table(states), refresh=True)
                if comparison.lock.holder() is None and not any(one.phase == Phase.RUNNING for one in states.values()):
                    break
                time.sleep(1)
    except KeyboardInterrupt:
        pass
    console.print(_driver(comparison))
    return 0


def tally(states: dict[str, State]) -> str:
    """How many runs are in which phase: "3 finished, 2 running"."""
    phases = [one.phase for one in states.values()]
    return ", ".join(f"{phases.count(phase)} {phase.value}" for phase in reversed(Phase) if phase in phases)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def _driver(comparison: Comparison) -> Any:
    holder = comparison.lock.holder()
    if holder is None:
        return Text(f"Nobody is running it. Folder: {comparison.folder}", "dim")
    return Text(f"Run by process {holder['pid']} on {holder['host']}. Folder: {comparison.folder}", "dim")
