"""Means over seeds, and which of them are better than chance tells."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Of one metric in one cell.

    Attributes:
        values: One for each seed that finished.
        mean: Of them; NaN where there is none.
        error: Standard error of the mean, sample standard deviation / sqrt(n); NaN for fewer than two.
    """

    values: tuple[float, ...]
    mean: float
    error: float


def summarise(values: Sequence[float]) -> Summary:
    """Mean and standard error."""
    if not values:
        return Summary((), math.nan, math.nan)
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Summary(tuple(values), float(np.mean(values)), error)


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Two-sided p-value of Welch's t-test for equal means; NaN where one has fewer than two values."""
    from scipy import stats

    if min(len(one), len(other)) < 2:
        return math.nan
    if np.ptp(one) == 0 and np.ptp(other) == 0:  # no spread at all: the statistic is 0/0 or infinite
        return 1.0 if one[0] == other[0] else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nearly no spread: scipy warns of lost digits
        return float(np.asarray(stats.ttest_ind(one, other, equal_var=False))[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's step-down method, which keeps the chance of any false alarm at the level; NaN stays.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted = [math.nan] * len(p_values)
    order = sorted((place for place, p in enumerate(p_values) if not math.isnan(p)), key=lambda place: p_values[place])
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


@dataclass(frozen=True)
class Ranking:
    """Of the cells by one metric.

    Attributes:
        summaries: One for each cell.
        best: Index of the cell with the best mean; None where no cell has any value.
        p_values: Of each cell against the best, adjusted; NaN for the best itself and where no test is possible.
        leaders: Indices of the best, and of those that the test cannot tell from it.
    """

    summaries: tuple[Summary, ...]
    best: int | None
    p_values: tuple[float, ...]
    leaders: frozenset[int]


def rank(cells: Sequence[Sequence[float]], *, better: str, alpha: float) -> Ranking:
    """Compares every cell with the best by Welch's t-test, adjusted by Holm's method.

    Args:
        cells: Values of each, one per seed; those that are not finite count as they are.
        better: "min" or "max".
        alpha: Level.
    """
    summaries = tuple(summarise(values) for values in cells)
    known = [place for place, summary in enumerate(summaries) if math.isfinite(summary.mean)]
    if not known:
        return Ranking(summaries, None, (math.nan,) * len(cells), frozenset())
    best = (min if better == "min" else max)(known, key=lambda place: summaries[place].mean)
    tested = [
        math.nan if place == best or place not in known else welch(cells[best], cells[place])
        for place in range(len(cells))
    ]
    adjusted = holm(tested)
    # One that could not be tested is not told from the best; where nothing could be, the best mean alone is shown.
    tells = any(len(summary.values) > 1 for summary in summaries)
    alike = {place for place in known if (tells and math.isnan(adjusted[place])) or adjusted[place] >= alpha}
    return Ranking(summaries, best, tuple(adjusted), frozenset({best} | alike))
