"""Phase diagrams that a specification asks for: a metric over two axes of its grid."""

from dataclasses import dataclass
from typing import Any

from lightning_gantk.compare.plan.checks import number, refuse_unknown
from lightning_gantk.compare.plan.formula import Formula
from lightning_gantk.errors import ConfigError

_KEYS = ("x", "y", "metrics", "contours", "theory")


@dataclass(frozen=True)
class Map:
    """One phase diagram, in a panel for each combination of the other axes.

    Attributes:
        x: Dotted key of the axis from left to right.
        y: Dotted key of that from below to above.
        metrics: One picture for each.
        contours: Values of the metric along which a line is drawn.
        theory: A function of both axes' values, whose zeros are drawn as a line; None for none.
    """

    x: str
    y: str
    metrics: tuple[str, ...]
    contours: tuple[float, ...]
    theory: Formula | None


def maps_of(given: Any, grid: Any, metrics: dict[str, str]) -> tuple[Map, ...]:
    """The maps of a specification.

    Args:
        given: What stands under ``maps``.
        grid: What stands under ``grid``.
        metrics: Those of the specification.

    Raises:
        ConfigError: If a map is not as it must be, or its axes are no axes of numbers.
    """
    if not isinstance(given, list) or not given:
        raise ConfigError(f"'maps' must be a list of mappings with the keys {', '.join(_KEYS)}, got {given!r}.")
    return tuple(_map(one, grid, metrics) for one in given)


def _map(given: Any, grid: Any, metrics: dict[str, str]) -> Map:
    if not isinstance(given, dict) or not {"x", "y"} <= given.keys():
        raise ConfigError(f"a map needs 'x' and 'y', two axes of 'grid', got {given!r}.")
    refuse_unknown(given, _KEYS, "a map")
    if given["x"] == given["y"]:
        raise ConfigError(f"a map needs two axes, got {given['x']!r} twice.")
    for key in (given["x"], given["y"]):
        values = grid.get(key) if isinstance(grid, dict) else None
        if not isinstance(values, list) or len(values) < 2 or not all(_is_number(value) for value in values):
            raise ConfigError(
                f"{key!r}, an axis of a map, must be an axis of 'grid' with a list of two or more numbers."
            )
    shown = given.get("metrics", list(metrics))
    shown = [shown] if isinstance(shown, str) else shown
    if not isinstance(shown, list) or not shown or not set(map(str, shown)) <= set(metrics):
        raise ConfigError(f"'metrics' of a map must be among those compared, {', '.join(metrics)}; got {shown!r}.")
    contours = given.get("contours", [])
    contours = contours if isinstance(contours, list) else [contours]
    theory = given.get("theory")
    return Map(
        given["x"],
        given["y"],
        tuple(map(str, shown)),
        tuple(sorted(float(number(value, "a contour")) for value in contours)),
        None if theory is None else Formula(str(theory)),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
