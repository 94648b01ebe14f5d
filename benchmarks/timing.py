"""Timings that can be compared: taken in turns, warm, as medians of ratios."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """How long ours and a baseline take, in seconds (medians), and the median of their paired ratios.

    Attributes:
        ours: Seconds of ours.
        baseline: Seconds of the baseline.
        ratio: Baseline over ours: how many times faster ours is.
    """

    ours: float
    baseline: float
    ratio: float


def compare(ours: Callable[[], object], baseline: Callable[[], object], *, repeats: int = 9) -> Comparison:
    """Times both in turns, so that whatever else the machine does meets both; the first call of each is not counted.

    Args:
        ours: Called with no argument; must return only when the work is done.
        baseline: The same.
        repeats: Pairs of timings.

    Returns:
        Medians, and the median ratio.
    """
    ours()
    baseline()
    pairs = [(seconds(ours), seconds(baseline)) for _ in range(repeats)]
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Comparison(first, second, statistics.median(b / a for a, b in pairs))


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def median(function: Callable[[], object], *, repeats: int = 5) -> float:
    """Median seconds of a call, the first not counted."""
    function()
    return statistics.median(seconds(function) for _ in range(repeats))
