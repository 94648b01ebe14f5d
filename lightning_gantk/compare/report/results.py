"""What the runs came to, read from their logs and files."""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_gantk import files
from lightning_gantk.compare import state
from lightning_gantk.compare.plan.runs import Run, cells
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.report.logs import Logs, Series
from lightning_gantk.compare.search.trials import CellSearch, known_runs, searches
from lightning_gantk.compare.state import Comparison, Phase, RunFolder, State

_WARM_UP = 0.1  # share of the logged steps that compile, or fill caches, and are left out of times
_LATE = 0.2  # share of the values that count as late
_PARTS = ("time/fit", "time/scores", "time/generator")


@dataclass(frozen=True)
class Result:
    """Of one run.

    Attributes:
        run: What was run.
        folder: Where.
        state: Where it stands.
        scalars: All it logged, by name.
        record: What it noted when it finished: memory, versions, hardware; empty before.
        config: Its full configuration; empty before it began.
        training_seconds: Of training, as ``callbacks.Budget`` counts them.
    """

    run: Run
    folder: RunFolder
    state: State
    scalars: dict[str, Series]
    record: dict[str, Any]
    config: dict[str, Any]
    training_seconds: float

    @property
    def finished(self) -> bool:
        """Whether it counts."""
        return self.state.phase == Phase.FINISHED

    def value(self, metric: str, *, which: str, better: str) -> float:
        """Its last value of a metric, its best since training began, or the mean of the last fifth of its values; NaN
        where it has none.
        """
        values = list(self.scalars[metric].values().values()) if metric in self.scalars else []
        if not values:
            return math.nan
        if which == "last":
            return values[-1]
        if which == "late":
            return statistics.fmean(values[-math.ceil(_LATE * len(values)) :])
        learnt = [value for step, value in self.scalars[metric].values().items() if step > 0] or values
        return (min if better == "min" else max)((value for value in learnt if not math.isnan(value)), default=math.nan)

    def step_parts(self) -> dict[str, float]:
        """Median seconds of the parts of a generator step, by name in the logs."""
        parts = {}
        for name in _PARTS:
            values = list(self.scalars[name].values().values()) if name in self.scalars else []
            if kept := values[int(_WARM_UP * len(values)) :]:
                parts[name] = statistics.median(kept)
        return parts

    def pictures(self) -> list[Path]:
        """Grids of samples, in the order of steps."""
        found = (self.folder.training / "samples").glob("step_*.png")
        return sorted(found, key=lambda path: int(path.stem.removeprefix("step_")))


@dataclass(frozen=True)
class Results:
    """Of a comparison.

    Attributes:
        specification: What was asked.
        cells: Names, in order.
        runs: Results, cell by cell and seed by seed.
        searches: What was tried before, cell by cell; none where nothing was searched.
        trials: Results of the trials, by the slug of the run.
        others: Number of runs in the folder that the specification does not ask for, or no longer.
    """

    specification: Specification
    cells: list[str]
    runs: list[Result]
    searches: list[CellSearch]
    trials: dict[str, Result]
    others: int

    def of(self, cell: str) -> list[Result]:
        """The finished runs of a cell."""
        return [result for result in self.runs if result.run.cell == cell and result.finished]

    def values(self, cell: str, metric: str) -> list[float]:
        """One for each finished run of a cell that has one."""
        better = self.specification.metrics[metric]
        found = [result.value(metric, which=self.specification.value, better=better) for result in self.of(cell)]
        return [value for value in found if not math.isnan(value)]

    def step_seconds(self, result: Result) -> float | None:
        """Of a generator step: with a budget those that count over the steps, else the medians of what was logged."""
        if self.specification.budget is None:
            return sum(parts.values()) if (parts := result.step_parts()) else None
        return result.training_seconds / result.record["steps"] if result.record.get("steps") else None

    def floors(self, metric: str) -> list[float]:
        """What real samples come to against other real samples, in the finished runs: each different value once."""
        name = f"{metric}_floor"
        logged = (result.scalars[name].values() for result in self.runs if result.finished and name in result.scalars)
        return sorted({list(values.values())[-1] for values in logged if values})


def collect(specification: Specification) -> Results:
    """Reads all runs."""
    comparison, found = Comparison(specification.folder), searches(specification)
    runs = known_runs(specification, found)
    results = [read_result(run, comparison.run(run.slug)) for run in runs]
    return Results(
        specification,
        [cell.name for cell in cells(specification)],
        [result for result in results if result.run.trial is None],
        found,
        {result.run.slug: result for result in results if result.run.trial is not None},
        comparison.others([run.slug for run in runs]),
    )


def read_result(run: Run, folder: RunFolder) -> Result:
    """Reads a run."""
    logs = Logs(folder.training).refresh()
    path = folder.training / "config.yaml"
    config = yaml.safe_load(path.read_text()) if path.is_file() else {}
    record = files.read_json(folder.finished) or {}
    return Result(run, folder, state.read(folder), logs.scalars, record, config, logs.seconds())
