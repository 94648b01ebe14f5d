"""The driver's half of a search: which trial comes next, and what has won."""

import math
from collections.abc import Iterator, Set

from lightning_gantk.compare.plan.runs import Run
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.report.results import read_result
from lightning_gantk.compare.search import sampler
from lightning_gantk.compare.search.trials import CellSearch
from lightning_gantk.compare.state import Comparison, Phase


class Tuner:
    """Makes trials as places for them fall free, and compares the best with fresh seeds when a cell has had all of its.

    Args:
        specification: Of the comparison; it has a search.
        comparison: Its folder.
        searches: Of its cells.

    Raises:
        ConfigError: If Optuna is missing.
    """

    def __init__(self, specification: Specification, comparison: Comparison, searches: list[CellSearch]):
        sampler.require()
        self.specification, self.comparison, self.searches = specification, comparison, searches
        self.metric, self.better = next(iter(specification.metrics.items()))

    def probes(self) -> list[Run]:
        """A run of each cell that nobody runs, with some values of its space: to see that they can be set."""
        return [one.trial({key: parameter.example for key, parameter in one.cell.space}) for one in self.searches]

    @property
    def is_done(self) -> bool:
        """Whether no run will follow any more."""
        return all(one.is_decided for one in self.searches)

    def is_over(self, run: Run) -> bool:
        """Whether a run is a trial whose cell is decided: one that failed is then not tried again."""
        return run.trial is not None and any(one.cell.name == run.cell and one.is_decided for one in self.searches)

    def more(self, ended: Set[str]) -> list[Run]:
        """Runs that follow from those that have ended: one more trial, or what a cell's search has found.

        Args:
            ended: Slugs of the runs that will not go on.
        """
        for one in self.searches:
            if not one.is_decided and len(one.runs) >= one.plan.trials and self._going(one, ended) == 0:
                one.decide(self._best(one))
                return one.found(self.specification.seeds)
        open_ones = [one for one in self.searches if len(one.runs) < one.plan.trials]
        if not open_ones:
            return []
        one = min(open_ones, key=lambda one: (self._going(one, ended), len(one.runs)))
        tried = [
            sampler.Tried(values, run.slug in ended, self._result(run) if run.slug in ended else None)
            for values, run in zip(one.values, one.runs, strict=True)
        ]
        plan, cell = one.plan, one.cell
        return [one.add(sampler.propose(plan.sampler, cell.space, tried, better=self.better, key=cell.key))]

    def without_result(self) -> list[str]:
        """Cells that are decided and have nothing to compare: all of their trials diverged or failed."""
        return [one.cell.name for one in self.searches if one.is_decided and one.best is None]

    @staticmethod
    def _going(one: CellSearch, ended: Set[str]) -> int:
        return sum(run.slug not in ended for run in one.runs)

    def _best(self, one: CellSearch) -> int | None:
        sign = 1 if self.better == "min" else -1
        return min(self._results(one), key=lambda pair: sign * pair[1], default=(None, 0.0))[0]

    def _results(self, one: CellSearch) -> Iterator[tuple[int, float]]:
        for number, run in enumerate(one.runs[: one.plan.trials]):
            if (value := self._result(run)) is not None:
                yield number, value

    def _result(self, run: Run) -> float | None:
        found = read_result(run, self.comparison.run(run.slug))
        if found.state.phase != Phase.FINISHED:
            return None
        value = found.value(self.metric, which=self.specification.value, better=self.better)
        return value if math.isfinite(value) else None
