"""What a search tried before the comparison: a table for each cell."""

import math

from lightning_gantk.compare.plan.search import SearchPlan, Space
from lightning_gantk.compare.report.figures import title
from lightning_gantk.compare.report.results import Result, Results
from lightning_gantk.compare.report.tables import Cell, Table
from lightning_gantk.compare.search.trials import CellSearch
from lightning_gantk.compare.state import Phase


def tables(results: Results) -> dict[str, Table]:
    """Of each cell: the values of its trials and what they came to; the chosen one stands out."""
    return {one.cell.name: _table(one, results) for one in results.searches}


def _table(one: CellSearch, results: Results) -> Table:
    metric = next(iter(results.specification.metrics))
    names = _short(one.cell.space)
    table = Table(["trial", *names.values(), title(metric), "state"], left=frozenset({0, len(names) + 2}))
    for number, (values, run) in enumerate(zip(one.values, one.runs, strict=True)):
        chosen = number == one.best
        shown = [
            str(number),
            *(_told(values[key]) for key in names),
            *_outcome(results.trials.get(run.slug), metric, results),
        ]
        table.rows.append([Cell(text, bold=chosen) for text in shown])
    return table


def stated(results: Results, plan: SearchPlan) -> str:
    """How the values that are compared were found."""
    metric = next(iter(results.specification.metrics))
    sampler = {"tpe": "a tree-structured Parzen estimator", "random": "chance", "gp": "a Gaussian process"}[
        plan.sampler
    ]
    budget = "the budget of the runs compared" if plan.seconds is None else f"{plan.seconds:g} of its seconds"
    return (
        f"Before the comparison each entry had the same number of trials, {plan.trials}, with {budget} and one seed, "
        f"{plan.seed}; values were proposed by {sampler} (Optuna). The best by {title(metric)} (bold) was run anew "
        "with the seeds compared, which no trial had."
    )


def space(one: CellSearch) -> str:
    """What a cell's search could choose from."""
    return f"{one.cell.name}: " + "; ".join(f"{key}: {parameter}" for key, parameter in one.cell.space)


def _outcome(found: Result | None, metric: str, results: Results) -> tuple[str, str]:
    if found is None:
        return "", Phase.WAITING.value
    asked = results.specification
    value = found.value(metric, which=asked.value, better=asked.metrics[metric]) if found.finished else math.nan
    error = f": {found.state.error}" if found.state.error else ""
    return "" if math.isnan(value) else f"{value:.4g}", f"{found.state.phase.value}{error}"


def _short(space: Space) -> dict[str, str]:
    """Keys by what tells them apart: their last words, or all of them."""
    last = [key.rpartition(".")[-1] for key, _ in space]
    return {key: name if last.count(name) == 1 else key for (key, _), name in zip(space, last, strict=True)}


def _told(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
