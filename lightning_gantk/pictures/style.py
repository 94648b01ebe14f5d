"""What all pictures share: the width of a column, fonts, colours that everybody can tell apart, and files."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

COLUMN = 3.3  # inches
SCORES = "PuOr"  # diverging, for scores around 0
SPEEDS = "cividis"  # sequential
REAL, FAKE = "black", "white"  # fill of points; both have black edges, so that print without colours will do
REAL_LINE, FAKE_LINE = "#0072B2", "#D55E00"  # where points have a colour of their own (Okabe and Ito, 2008)
_SUFFIXES = (".pdf", ".png", ".svg")
_SETTINGS: dict[Any, Any] = {  # matplotlib lists all names as literals
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # letters stay letters
    "axes.unicode_minus": False,
}
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def styled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Runs a function that draws or saves under the settings of all pictures."""

    @wraps(function)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with matplotlib.rc_context(_SETTINGS):
            return function(*args, **kwargs)

    return wrapped


def titled(discriminator: Any, step: int | None = None) -> str:
    """What stands above a picture: generator steps, the loss, the discriminator's training time."""
    parts = [] if step is None else [f"step {step:,}"]
    parts.append(type(discriminator.loss).__name__)
    if discriminator.time is not None:
        parts.append(f"time {discriminator.time:g}")
    return ", ".join(parts)


@styled
def figure(height: float, *, width: float = COLUMN) -> Figure:
    """An empty figure, in inches, that belongs to no window."""
    made = Figure(figsize=(width, height))
    FigureCanvasAgg(made)
    return made


@styled
def save(drawn: Figure, path: str | Path, *, dpi: int = 300) -> Path:
    """Writes a figure as its suffix says.

    Args:
        drawn: The figure.
        path: A .pdf, .svg or .png file; its folder is made.
        dpi: Pixels per inch of what is made of pixels.

    Raises:
        ConfigError: If the suffix is another.
    """
    path = checked(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=dpi)
    return path


def checked(path: str | Path, **counts: int) -> Path:
    """Refuses a file name that no picture can have, and numbers below 1."""
    for name, value in counts.items():
        whole(name, value)
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"A picture's file name must end in {', '.join(_SUFFIXES)}, got {str(path)!r}.")
    return path


@styled
def pixels(drawn: Figure, *, dpi: int = 150) -> np.ndarray:
    """The figure as bytes ``(height, width, 3)``."""
    drawn.set_dpi(dpi)
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def around_zero(*fields: np.ndarray, share: float = 0.99) -> Normalize:
    """One colour scale for all fields, with 0 in the middle; it covers ``share`` of the values and clips the others."""
    largest = max(float(np.quantile(np.abs(field), share)) for field in fields)
    largest = largest if largest > 0 else 1.0
    return Normalize(-largest, largest)


def scatter(ax: Axes, points: np.ndarray, *, real: bool, label: str | None = None) -> None:
    """Points ``(n, 2)``: reals as black dots, fakes as white ones with an edge; smaller where there are many."""
    size = float(np.clip(1500 / len(points), 4, 14))
    shape = {"s": 0.5 * size, "linewidths": 0} if real else {"s": size, "linewidths": 0.5}
    ax.scatter(*points.T, c=REAL if real else FAKE, edgecolors="black", label=label, zorder=3 if real else 4, **shape)
