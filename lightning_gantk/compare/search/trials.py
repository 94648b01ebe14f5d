"""What the search of each cell has tried, and what it came to: a file for each, which the driver alone writes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_gantk import files
from lightning_gantk.compare.plan.runs import Cell, Run, cells, runs_of
from lightning_gantk.compare.plan.search import SearchPlan
from lightning_gantk.compare.plan.specification import Specification


class CellSearch:
    """The trials of one cell, in order.

    Args:
        cell: The combination.
        plan: Of its search.
        folder: Where its file is, ``<comparison>/search``.
        rule: By what the best is chosen, in words: a search that was decided by another is decided anew.

    Attributes:
        values: Of each trial, by dotted key.
        runs: Of each trial.
    """

    def __init__(self, cell: Cell, plan: SearchPlan, folder: Path, rule: str):
        self.cell, self.plan, self.rule = cell, plan, rule
        shorter = "" if plan.seconds is None else f" {plan.seconds}"
        name = hashlib.sha256(f"{cell.key} {cell.space} {plan.seed}{shorter}".encode()).hexdigest()[:10]
        self.path = folder / f"{name}.json"
        known = files.read_json(self.path) or {"cell": cell.name, "trials": [], "best": None, "of": 0}
        self.values: list[dict[str, Any]] = known["trials"]
        decided = known.get("rule", rule) == rule
        self._best, self._of = (known["best"], known["of"]) if decided else (None, 0)
        self.runs = [self._run(number) for number in range(len(self.values))]

    @property
    def is_decided(self) -> bool:
        """Whether all of its trials have ended, as many as there are to be."""
        return self._of == self.plan.trials

    @property
    def best(self) -> int | None:
        """The number of the best trial; None before it is decided, and where no trial has a value."""
        return self._best if self.is_decided else None

    def add(self, values: dict[str, Any]) -> Run:
        """Writes a trial down, before it runs."""
        self.values.append(values)
        self.runs.append(self._run(len(self.values) - 1))
        self._write()
        return self.runs[-1]

    def decide(self, best: int | None) -> None:
        """Writes down which trial was the best of all."""
        self._best, self._of = best, self.plan.trials
        self._write()

    def found(self, seeds: tuple[int, ...]) -> list[Run]:
        """Runs of the best values with fresh seeds; none before the search is decided."""
        if self.best is None:
            return []
        cell = self.cell.at(self.values[self.best])
        return [cell.run(seed) for seed in seeds]

    def trial(self, values: Mapping[str, Any], number: int | None = None) -> Run:
        """The run that tries values; without a number it is for a look at them alone."""
        shorter = {} if self.plan.seconds is None else {"budget.seconds": self.plan.seconds}
        return self.cell.at({**values, **shorter}).run(self.plan.seed, trial=number)

    def _run(self, number: int) -> Run:
        return self.trial(self.values[number], number)

    def _write(self) -> None:
        told = {"cell": self.cell.name, "trials": self.values, "best": self._best, "of": self._of, "rule": self.rule}
        files.write_json(self.path, told)


def searches(specification: Specification) -> list[CellSearch]:
    """Of all cells; none where nothing is searched."""
    if specification.search is None:
        return []
    metric, better = next(iter(specification.metrics.items()))
    place, rule = specification.folder / "search", f"{better} of {metric}, {specification.value}"
    return [CellSearch(cell, specification.search, place, rule) for cell in cells(specification)]


def known_runs(specification: Specification, found: list[CellSearch]) -> list[Run]:
    """The runs that are known so far: trials, and what follows from them; without a search all there are.

    Args:
        specification: The comparison's.
        found: Its ``searches``.
    """
    if specification.search is None:
        return runs_of(specification)
    every = [run for one in found for run in (*one.runs, *one.found(specification.seeds))]
    return list({run.slug: run for run in reversed(every)}.values())[::-1]  # trials of the same values are one run
