"""The tables of a report."""

import math
from typing import Any

from lightning_gantk.compare.report.differences import differing
from lightning_gantk.compare.report.figures import colours, title
from lightning_gantk.compare.report.results import Result, Results
from lightning_gantk.compare.report.statistics import Ranking, rank, summarise
from lightning_gantk.compare.report.tables import Cell, Table, plus_minus, probability
from lightning_gantk.compare.report.units import STEP_TIME, STEPS, memory, training_time
from lightning_gantk.compare.run.display import clock
from lightning_gantk.compare.state import Phase

_ARROWS = {"min": "↓", "max": "↑"}


def rankings(results: Results) -> dict[str, Ranking]:
    """Of the cells, by metric."""
    asked = results.specification
    return {
        metric: rank([results.values(cell, metric) for cell in results.cells], better=better, alpha=asked.alpha)
        for metric, better in asked.metrics.items()
    }


def summary(results: Results) -> Table:
    """One row for each cell: metrics, time, memory."""
    metrics, ranked = results.specification.metrics, rankings(results)
    names = [f"{title(metric)} {_ARROWS[better]}" for metric, better in metrics.items()]
    costs = [STEP_TIME.name, training_time(results).name, memory(results).name]
    table = Table(["", *names, *costs, "runs"])
    several = len(results.cells) > 1
    for place, (cell, colour) in enumerate(colours(results.cells).items()):
        row: list[Cell | str] = [Cell(cell, colour=colour)]
        for metric in metrics:
            one = ranked[metric]
            text = plus_minus(one.summaries[place])
            row.append(Cell(text, several and place in one.leaders, probability(one.p_values[place])))
        table.rows.append([*row, *_costs(results, cell), _count(results, cell)])
    if any(results.floors(metric) for metric in metrics):
        floors = [results.floors(metric) for metric in metrics]
        values = [plus_minus(summarise(floor)) if floor else "" for floor in floors]
        table.rows.append([Cell("real samples", note="against held-out real ones"), *values, "", "", "", ""])
    return table


def stated_test(results: Results) -> str:
    """What the figures and the bold type mean."""
    asked = results.specification
    which = {"last": "last value", "best": "best value", "late": "mean of the last fifth of the values"}[asked.value]
    text = f"Mean ± standard error over seeds, of the {which} of each run. "
    if len(results.cells) < 2:
        return text
    if all(len(results.of(cell)) < 2 for cell in results.cells):
        return text + "Bold: the best mean in its column; one run of each cell allows no test."
    return text + (
        f"Bold: the best mean in its column, and every other that cannot be told from it at level {asked.alpha:g} by "
        "Welch's t-test (two-sided, unequal variances), p-values (below the figures) adjusted by Holm's method for all "
        "comparisons in the column. With few seeds such a test finds large differences only: bold does not mean equal."
    )


def stated_time(results: Results) -> str:
    """What seconds of training are."""
    budget = results.specification.budget
    clock = "wall" if budget is None else dict(budget.settings).get("budget.clock", "wall")
    whose = "of the processor, of all threads of a run" if clock == "cpu" else "of the wall clock"
    text = (
        f"Seconds are those {whose}, from the preparation of the discriminator on, without validations and without "
        "what JAX spends on compiling"
    )
    if budget is None:
        return f"{text}, at a run's pace beside the other runs on the machine."
    return f"{text}; those of a step are all of them over the steps. A dash: not measured by then."


def by_time(results: Results) -> Table | None:
    """The first metric at shares of the budget: the last value before, mean over seeds; None without a budget.

    Nothing stands where a run had not been measured yet: the value of its start says nothing of what it has learnt.
    """
    budget = results.specification.budget
    if budget is None or not any(result.finished for result in results.runs):
        return None
    metric, seconds = next(iter(results.specification.metrics)), float(dict(budget.settings)["budget.seconds"])
    times = [share * seconds for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    table = Table([title(metric), *(f"{time:g} s" for time in times[:-1]), f"end ({times[-1]:g} s)"])
    for cell, colour in colours(results.cells).items():
        curves = [result.scalars[metric] for result in results.of(cell) if metric in result.scalars]
        reached = [[one.before(time) for one in curves] for time in (*times[:-1], math.inf)]
        row = [plus_minus(summarise([] if any(map(math.isnan, values)) else values)) for values in reached]
        table.rows.append([Cell(cell, colour=colour), *row])
    return table


def runs(results: Results) -> Table:
    """One row for each run."""
    asked, time, space = results.specification, training_time(results), memory(results)
    header = ["run", "seed", *map(title, asked.metrics), STEPS, time.name, STEP_TIME.name, space.name, "tries"]
    table = Table([*header, "state"], left=frozenset({0, len(header)}))
    for result in results.runs:
        values = [result.value(metric, which=asked.value, better=better) for metric, better in asked.metrics.items()]
        step = max((max(series.points) for series in result.scalars.values() if series.points), default=0)
        told = result.state.phase.value + (f": {result.state.error}" if result.state.error else "")
        table.rows.append(
            [
                result.run.cell,
                str(result.run.seed),
                *("" if math.isnan(value) else f"{value:.4g}" for value in values),
                str(result.record.get("steps", step)),
                time.told(result.training_seconds),
                _step_time(results, [result]),
                space.told(peak) if (peak := _peak([result])) else "—",
                str(result.state.attempts),
                told,
            ]
        )
    return table


def unfinished(results: Results) -> list[str]:
    """One line for each run, or cell, that does not count, or not in a metric, and why."""
    lines = []
    for result in results.runs:
        if not result.finished:
            error = f": {result.state.error}" if result.state.error else ""
            lines.append(f"{result.run.label} — {result.state.phase.value}{error}")
            continue
        asked = results.specification
        for metric, better in asked.metrics.items():
            if math.isnan(result.value(metric, which=asked.value, better=better)):
                lines.append(f"{result.run.label} — has finished, with no value of {metric}")
    for one in results.searches:
        if not one.is_decided:
            lines.append(f"{one.cell.name} — the search is at trial {len(one.runs)} of {one.plan.trials}")
        elif one.best is None:
            lines.append(f"{one.cell.name} — no trial came to a value")
    return lines


def differences(results: Results) -> tuple[Table, Table]:
    """The keys in which cells differ, and those that only some of their classes have, where these agree in them."""
    found = differing(results)
    of_some = [(key, values) for key, values in found if len({value for value in values if value}) < 2]
    return _of_keys(results, [one for one in found if one not in of_some]), _of_keys(results, of_some)


def _of_keys(results: Results, found: list[tuple[str, list[str]]]) -> Table:
    if len(results.cells) <= 6:
        rows: list[list[Cell | str]] = [[key, *(value or "—" for value in values)] for key, values in found]
        return Table(["", *results.cells], rows, frozenset(range(len(results.cells) + 1)))
    rows = [[cell, *(values[place] or "—" for _, values in found)] for place, cell in enumerate(results.cells)]
    return Table(["", *(key for key, _ in found)], rows if found else [], frozenset(range(len(found) + 1)))


def made_with(results: Results) -> Table:
    """Packages and hardware, as the runs noted them."""
    table = Table(["", ""], left=frozenset({0, 1}))
    for part in ("machine", "versions"):
        records = [result.record[part] for result in results.runs if result.finished]
        for name in dict.fromkeys(name for record in records for name in record):
            table.rows.append([name, _together([record.get(name, "—") for record in records])])
    finished = [result for result in results.runs if result.finished]
    if finished:
        table.rows.append(["threads of a run", _together([str(result.record["threads"]) for result in finished])])
        table.rows.append(["processes of a run", _together([str(result.record["processes"]) for result in finished])])
    return table


def facts(results: Results) -> dict[str, str]:
    """The least one has to know."""
    finished = [result for result in results.runs if result.finished]
    found = {"Runs": f"{len(finished)} of {len(results.runs)} finished"}
    seeds = len(results.specification.seeds)
    found["Compared"] = f"{len(results.cells)}, with {seeds} seed{'s' * (seeds > 1)} each"
    if (plan := results.specification.search) is not None:
        took = "" if plan.seconds is None else f" of {plan.seconds:g} s"
        found["Search before"] = f"{plan.trials} trial{'s' * (plan.trials > 1)}{took} each, {plan.sampler}"
    if finished:
        steps = sorted({result.record["steps"] for result in finished})
        found[STEPS.capitalize()] = "–".join(f"{step:,}" for step in dict.fromkeys((steps[0], steps[-1])))  # noqa: RUF001
        every = [*results.runs, *results.trials.values()]
        found["Run time, all runs"] = clock(sum(result.state.seconds for result in every))
        hardware = finished[-1].record["machine"]
        found["Hardware"] = hardware.get("GPU") or f"{hardware['processor']}, cores: {hardware['cores']}"
    return found


def _costs(results: Results, cell: str) -> list[Cell | str]:
    finished, space = results.of(cell), memory(results)
    if not finished:
        return ["—", "—", "—"]
    time = summarise([result.training_seconds for result in finished]).mean
    peak, gpu = _peak(finished), _peak(finished, "peak_gpu_memory")
    note = f"{space.told(gpu)} on GPU" if gpu else ""
    told = Cell(space.told(peak) if peak else "—", note=note)
    return [_step_time(results, finished), training_time(results).told(time), told]


def _step_time(results: Results, of: list[Result]) -> str:
    known = [seconds / STEP_TIME.size for result in of if (seconds := results.step_seconds(result)) is not None]
    return plus_minus(summarise(known))


def _peak(finished: list[Result], which: str = "peak_memory") -> float | None:
    return max((result.record.get(which) or 0 for result in finished), default=0) or None


def _count(results: Results, cell: str) -> Cell | str:
    phases = [result.state.phase for result in results.runs if result.run.cell == cell]
    diverged = phases.count(Phase.DIVERGED)
    note = f"{diverged} diverged" if diverged else ""
    return Cell(f"{phases.count(Phase.FINISHED)} of {len(phases)}", note=note)


def _together(values: list[Any]) -> str:
    """What all say; else each different thing once."""
    return ", ".join(dict.fromkeys(map(str, values)))
