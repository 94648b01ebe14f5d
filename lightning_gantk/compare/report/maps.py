"""Phase diagrams: a metric over two axes of the grid, as coloured cells."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lightning_gantk.compare.plan.maps import Map
from lightning_gantk.compare.report.figures import DECADES, title
from lightning_gantk.compare.report.results import Results
from lightning_gantk.compare.report.statistics import summarise

_FINE = 40  # points of the theory's line in a cell's width
_LETTER, _LINE = 0.068, 0.2  # inches that a letter and a line of the legend take, at most
_CONTOUR: dict[str, Any] = {"colors": "#d55e00", "linewidths": 1.6}
_THEORY: dict[str, Any] = {"colors": "black", "linewidths": 1.4, "linestyles": "dashed"}


@dataclass(frozen=True)
class Panel:
    """One panel: means over seeds.

    Attributes:
        name: The choices on the other axes.
        means: ``(len(ys), len(xs))``; NaN where no run has finished.
        errors: Their standard errors; NaN where there is one run.
    """

    name: str
    means: np.ndarray
    errors: np.ndarray


def values_of(results: Results, key: str) -> list[float]:
    """The values of an axis, in order."""
    choices = (choice for axis in results.specification.axes for choice in axis)
    return sorted({float(value) for choice in choices for name, value in choice.settings if name == key})


def panels(results: Results, asked: Map, metric: str) -> list[Panel]:
    """The panels of a map, in the specification's order."""
    xs, ys = values_of(results, asked.x), values_of(results, asked.y)
    found: dict[str, Panel] = {}
    for cell, choices in zip(results.cells, itertools.product(*results.specification.axes), strict=True):
        place: dict[str, Any] = {}
        others = []
        for layer in choices:
            settings = dict(layer.settings)
            own = [key for key in (asked.x, asked.y) if key in settings]
            place |= {key: float(settings[key]) for key in own}
            others += [] if own else [layer.name]
        name = ", ".join(others)
        empty = np.full((len(ys), len(xs)), math.nan)
        panel = found.setdefault(name, Panel(name, empty, empty.copy()))
        if values := results.values(cell, metric):
            summary = summarise(values)
            spot = ys.index(place[asked.y]), xs.index(place[asked.x])
            panel.means[spot], panel.errors[spot] = summary.mean, summary.error
    return list(found.values())


def draw(results: Results, asked: Map, metric: str) -> Figure | None:
    """The picture of a metric: panels side by side with one colour scale, means in the cells, and lines over them, with
    a legend below; None where there are no values.
    """
    xs, ys = values_of(results, asked.x), values_of(results, asked.y)
    shown = panels(results, asked, metric)
    if not any(np.isfinite(panel.means).any() for panel in shown):
        return None
    named = _legend(shown, asked, metric, xs, ys)
    width = max(1.6 + len(shown) * (0.9 + 0.56 * len(xs)), 0.8 + _LETTER * max(map(len, named), default=0))
    figure = Figure(figsize=(width, 1.3 + 0.42 * len(ys) + _LINE * len(named)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    norm = _norm(np.stack([panel.means for panel in shown]))
    image = None
    for axis, panel in zip(axes, shown, strict=True):
        image = axis.pcolormesh(panel.means, cmap="viridis", norm=norm, edgecolors="white", linewidth=1)
        _numbers(axis, panel, norm)
        _lines(axis, panel, asked, xs, ys)
        axis.set_title(panel.name, fontsize=9)
        axis.set_xlabel(asked.x.rpartition(".")[-1], fontsize=9)
        axis.set_xticks(np.arange(len(xs)) + 0.5, [f"{x:g}" for x in xs])
        axis.set_yticks(np.arange(len(ys)) + 0.5, [f"{y:g}" for y in ys])
        axis.tick_params(length=0, labelsize=8)
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel(asked.y.rpartition(".")[-1], fontsize=9)
    assert image is not None  # a comparison has at least one cell
    bar = figure.colorbar(image, ax=list(axes), pad=0.02)
    bar.set_label(title(metric), fontsize=9)
    bar.ax.tick_params(labelsize=8)
    if named:
        figure.legend(list(named.values()), list(named), loc="outside lower center", fontsize=8, frameon=False)
    return figure


def _norm(means: np.ndarray) -> Normalize:
    known = means[np.isfinite(means)]
    if len(known) and known.min() > 0 and known.max() / known.min() > DECADES:
        return LogNorm(known.min(), known.max())
    return Normalize(known.min(), known.max()) if len(known) and known.max() > known.min() else Normalize()


def _numbers(axis: Axes, panel: Panel, norm: Normalize) -> None:
    for (row, column), mean in np.ndenumerate(panel.means):
        known = math.isfinite(mean)
        error = panel.errors[row, column]
        text = f"{mean:.2g}" if known else "–"  # noqa: RUF001
        if known and math.isfinite(error) and error > 0.005 * abs(mean):
            text += f"\n±{error:.1g}"
        colour = "#52606d" if not known else "white" if float(norm(mean)) < 0.6 else "black"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7, color=colour, linespacing=0.95)


def _lines(axis: Axes, panel: Panel, asked: Map, xs: list[float], ys: list[float]) -> None:
    if levels := _levels(panel, asked):
        axis.contour(np.arange(len(xs)) + 0.5, np.arange(len(ys)) + 0.5, panel.means, levels=levels, **_CONTOUR)
    if (found := _theory(asked, xs, ys)) is not None:
        axis.contour(*found, levels=[0.0], colors="white", linewidths=3)
        axis.contour(*found, levels=[0.0], **_THEORY)


def _levels(panel: Panel, asked: Map) -> list[float]:
    """Contours that pass through a panel."""
    known = panel.means[np.isfinite(panel.means)]
    return [level for level in asked.contours if len(known) and known.min() < level < known.max()]


def _theory(asked: Map, xs: list[float], ys: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Places across and up, and the theory's values there; None where it has no zeros."""
    if asked.theory is None:
        return None
    fine_x = np.linspace(0.5, len(xs) - 0.5, _FINE * len(xs))
    fine_y = np.linspace(0.5, len(ys) - 0.5, _FINE * len(ys))
    found = asked.theory(*np.meshgrid(_between(fine_x, xs), _between(fine_y, ys)))
    known = found[np.isfinite(found)]
    if not len(known) or not known.min() < 0 < known.max():
        return None
    return fine_x, fine_y, np.where(np.isfinite(found), found, np.nan)


def _legend(shown: list[Panel], asked: Map, metric: str, xs: list[float], ys: list[float]) -> dict[str, Line2D]:
    """The lines that are drawn, by what they say."""
    named = {}
    if levels := sorted({level for panel in shown for level in _levels(panel, asked)}):
        words = f"contour: {title(metric)} = {', '.join(f'{level:g}' for level in levels)}"
        named[words] = Line2D([], [], color=_CONTOUR["colors"], linewidth=_CONTOUR["linewidths"])
    if asked.theory is not None and _theory(asked, xs, ys) is not None:
        words = f"theory: {asked.theory.text} = 0 (x across, y up)"
        style = {"color": _THEORY["colors"], "linewidth": _THEORY["linewidths"], "linestyle": _THEORY["linestyles"]}
        named[words] = Line2D([], [], **style)
    return named


def _between(places: np.ndarray, values: list[float]) -> np.ndarray:
    """Values at places between the cells' centres: geometric where they span decades, else linear."""
    geometric = min(values) > 0 and max(values) / min(values) > DECADES / 3
    grid = np.log(values) if geometric else np.asarray(values)
    found = np.interp(places, np.arange(len(values)) + 0.5, grid)
    return np.exp(found) if geometric else found
