"""Figures of a report, as SVG in which nothing has to be loaded."""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_gantk.compare.report import units
from lightning_gantk.compare.report.logs import Series
from lightning_gantk.compare.report.results import Results
from lightning_gantk.compare.report.statistics import summarise

# Okabe and Ito's colours, which people with any colour vision tell apart, and more for larger comparisons.
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#6a3d9a", "#7f7f7f",
    "#8c2d04", "#1b7837", "#40004b", "#08306b",
)  # fmt: skip
_INK, _FAINT = "#1f2933", "#d9dee3"
_PARTS = {"time/fit": "discriminator", "time/scores": "scores, gradient", "time/generator": "generator"}
_SHADES = ("#33577b", "#7fa3c2", "#c8d7e4")
DECADES = 30.0  # a range of values above which an axis is logarithmic


def colours(cells: Sequence[str]) -> dict[str, str]:
    """One for each cell."""
    return {cell: PALETTE[place % len(PALETTE)] for place, cell in enumerate(cells)}


def curves(results: Results, metric: str) -> str:
    """A metric over generator steps and over time: means over seeds, in a band of one standard error to each side."""
    figure, axes = _figure(2, 3.4)
    unit = units.training_time(results)
    shown: list[float] = []
    for cell, colour in colours(results.cells).items():
        runs = [result.scalars[metric] for result in results.of(cell) if metric in result.scalars]
        steps, seconds, means, errors = _mean_curve(runs)
        if not steps:
            continue
        drawn = [(steps, means, errors), (seconds, means, errors)]
        if results.specification.budget is not None:  # runs end at the same second, not at the same step
            drawn[1] = mean_over_time(runs)
        for axis, (x, means, errors), size in zip(axes, drawn, (1.0, unit.size), strict=True):
            shown += means
            x = np.divide(x, size)
            axis.plot(x, means, color=colour, linewidth=1.8, label=cell, zorder=3)
            low, high = np.subtract(means, errors), np.add(means, errors)
            axis.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    floors = results.floors(metric)
    for axis, label in zip(axes, (units.STEPS, unit.name), strict=True):
        if floors:
            axis.axhline(float(np.mean(floors)), color="#52606d", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        _scale(axis, shown)
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
    axes[0].set_ylabel(title(metric))
    return svg(figure, f"{title(metric)} over generator steps and over time")


def dots(results: Results, metric: str) -> str:
    """Each run as a dot, each cell's mean as a bar across."""
    figure, (axis,) = _figure(1, 0.42 * len(results.cells) + 0.9)
    known = []
    for row, (cell, colour) in enumerate(colours(results.cells).items()):
        values = results.values(cell, metric)
        known += values
        if not values:
            continue
        summary = summarise(values)
        if math.isfinite(summary.error):
            ends = [summary.mean - summary.error, summary.mean + summary.error]
            axis.plot(ends, [row, row], color=colour, linewidth=7, alpha=0.25, solid_capstyle="butt", zorder=2)
        axis.plot([summary.mean] * 2, [row - 0.28, row + 0.28], color=colour, linewidth=2.2, zorder=3)
        axis.plot(values, [row] * len(values), "o", color=colour, markersize=5.5, markeredgecolor="white", zorder=4)
    _rows(axis, results.cells)
    _scale(axis, known, which="x")
    axis.set_xlabel(title(metric))
    return svg(figure, f"{title(metric)} of every run")


def step_times(results: Results) -> str | None:
    """Time per generator step, in its parts; None where nothing of it was logged."""
    found = {cell: [result.step_parts() for result in results.of(cell)] for cell in results.cells}
    if not any(parts for runs in found.values() for parts in runs):
        return None
    figure, (axis,) = _figure(1, 0.42 * len(results.cells) + 1.1)
    starts = np.zeros(len(results.cells))
    for (name, label), shade in zip(_PARTS.items(), _SHADES, strict=True):
        known = [[parts.get(name, 0.0) for parts in found[cell] if parts] for cell in results.cells]
        means = [_mean(seconds) / units.STEP_TIME.size for seconds in known]
        axis.barh(range(len(results.cells)), means, 0.62, left=starts, color=shade, label=label, zorder=3)
        starts = starts + means
    _annotate(axis, starts)
    _rows(axis, results.cells)
    axis.set_xlim(0, 1.1 * max(starts) or 1)
    axis.set_xlabel(units.STEP_TIME.name)
    axis.legend(
        frameon=False,
        fontsize=8.5,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        handlelength=1.2,
        columnspacing=1.2,
    )
    return svg(figure, "Time per generator step")


def memory(results: Results) -> str:
    """Peak memory, the most of all seeds."""
    figure, (axis,) = _figure(1, 0.42 * len(results.cells) + 0.9)
    unit = units.memory(results)
    records = [[result.record for result in results.of(cell)] for cell in results.cells]
    peaks = [max((record["peak_memory"] / unit.size for record in cell), default=0.0) for cell in records]
    axis.barh(range(len(peaks)), peaks, 0.62, color=_SHADES[1], zorder=3)
    _annotate(axis, peaks)
    _rows(axis, results.cells)
    axis.set_xlim(0, 1.1 * max(peaks) or 1)
    axis.set_xlabel(unit.name)
    return svg(figure, "Peak memory")


def title(metric: str) -> str:
    """A metric as people call it: "val/fid" is FID."""
    name = metric.removeprefix("val/")
    return name.upper() if name.lower() in ("fid", "kid", "mmd") else name.replace("_", " ")


def _mean_curve(runs: list[Series]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Steps that all runs have; mean seconds, mean values and standard errors there."""
    if not runs:
        return [], [], [], []
    steps = sorted(set.intersection(*(set(series.points) for series in runs)))
    summaries = [summarise([series.points[step][0] for series in runs]) for step in steps]
    seconds = [float(np.mean([series.points[step][1] for series in runs])) for step in steps]
    errors = [0.0 if math.isnan(summary.error) else summary.error for summary in summaries]
    return [float(step) for step in steps], seconds, [summary.mean for summary in summaries], errors


def mean_over_time(runs: list[Series]) -> tuple[list[float], list[float], list[float]]:
    """Seconds; mean values and standard errors there, straight between the values of each run."""
    curves = [(list(series.seconds().values()), list(series.values().values())) for series in runs]
    until = min(seconds[-1] for seconds, _ in curves)
    times = sorted({second for seconds, _ in curves for second in seconds if second <= until})
    summaries = [summarise([float(np.interp(time, *curve)) for curve in curves]) for time in times]
    errors = [0.0 if math.isnan(summary.error) else summary.error for summary in summaries]
    return times, [summary.mean for summary in summaries], errors


def _figure(columns: int, height: float) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(10.6 if columns == 2 else 5.3, height), layout="constrained")
    axes = figure.subplots(1, columns, sharey=columns == 2, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color("#9aa5b1")
        axis.tick_params(colors="#52606d", labelsize=9)
        axis.xaxis.label.set(color=_INK, size=9.5)
        axis.yaxis.label.set(color=_INK, size=9.5)
        axis.grid(color=_FAINT, linewidth=0.7, zorder=0)
        axis.set_axisbelow(True)
    return figure, axes


def _scale(axis: Axes, values: list[float], which: Literal["x", "y"] = "y") -> None:
    finite = [value for value in values if math.isfinite(value)]
    one = axis.yaxis if which == "y" else axis.xaxis
    if finite and min(finite) > 0 and max(finite) / min(finite) > DECADES:
        (axis.set_yscale if which == "y" else axis.set_xscale)("log")
        axis.grid(which="minor", axis=which, color="#eef1f4", linewidth=0.5, zorder=0)
    else:
        one.set_major_locator(MaxNLocator(6))


def _annotate(axis: Axes, lengths: Iterable[float]) -> None:
    for row, length in enumerate(lengths):
        axis.annotate(
            f" {units.rounded(length)}" if length else " no run yet", (length, row), va="center", color=_INK, fontsize=9
        )


def _rows(axis: Axes, cells: Sequence[str]) -> None:
    axis.set_yticks(range(len(cells)), cells)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0, labelsize=9.5, labelcolor=_INK)
    axis.grid(visible=False, axis="y")


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def svg(figure: Figure, words: str) -> str:
    """The figure as an image in HTML."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Title": words})
    data = base64.b64encode(out.getvalue().encode()).decode()
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{data}">'
