"""A discriminator's score around points: its values, what it pulls samples towards, and the picture of both."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.pictures.style import FAKE_LINE, REAL_LINE, SCORES, around_zero, figure, scatter, styled

Limits = tuple[float, float, float, float]  # left, right, bottom, top
_MOST_ARROWS = 200
_ARROW = 0.12  # length of a long arrow, as a share of the picture's width


@styled
def samples_on_score(
    real: Tensor, fake: Tensor, discriminator: Discriminator, *, limits: Limits | None = None, title: str | None = None
) -> Figure:
    """Samples and target, with the score behind them and arrows along which the generator's loss falls fastest.

    Arrows are in one unknown unit: the longest ones are an eighth of the picture's width. There are none where fakes
    are moved by something else than these scores (noisy ones, say).

    Args:
        real: ``(M, d)`` with d of 1 or 2; in 1-D the score is a curve.
        fake: ``(N, d)``.
        discriminator: Fitted.
        limits: Left, right, bottom, top of the picture (in 1-D bottom and top are scores); around the samples where
            none are given.
        title: What is written above.

    Raises:
        ConfigError: If samples are in more than two dimensions.
    """
    refuse_many_dimensions(real)
    pulls = pull(discriminator, fake) if discriminator.scores_all_alike else None
    reals, points = to_numpy(real), to_numpy(fake)
    if points.shape[1] == 1:
        return _on_a_line(reals, points, pulls, discriminator, fake, limits, title)
    limits = limits or limits_around(reals, points)
    field = score_field(discriminator, limits, like=fake)
    drawn = figure(2.75)
    ax = drawn.subplots()
    norm = around_zero(field)
    show_field(ax, field, limits, norm)
    scatter(ax, reals, real=True, label="real")
    scatter(ax, points, real=False, label="generated")
    if pulls is not None:
        _arrows(ax, points, pulls, limits)
    colour_bar(drawn, [ax], norm, "score $f(x)$")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.2, handletextpad=0.2)
    if title:
        drawn.suptitle(title)
    return drawn


def score_field(discriminator: Discriminator, limits: Limits, *, like: Tensor, side: int = 100) -> np.ndarray:
    """Scores ``(side, side)`` on a grid over the limits, first row at the bottom; on the device of ``like``."""
    left, right, bottom, top = limits
    x, y = torch.linspace(left, right, side), torch.linspace(bottom, top, side)
    grid = torch.cartesian_prod(y, x).flip(1).to(like.device, like.dtype)
    with torch.no_grad():
        return discriminator(grid).float().cpu().numpy().reshape(side, side)


def pull(discriminator: Discriminator, fake: Tensor) -> np.ndarray:
    """``-grad c(f(x))`` at fakes ``(N, ...)``, where the generator's loss drives each; in their shape."""
    with torch.enable_grad():
        x = fake.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(len(x) * discriminator.loss.generator(discriminator(x)), x)
    return to_numpy(-gradient)


def show_field(ax: Axes, field: np.ndarray, limits: Limits, norm: Normalize) -> None:
    """A field as colours, with labelled axes of one scale."""
    ax.imshow(field, extent=limits, origin="lower", cmap=SCORES, norm=norm, interpolation="bilinear", rasterized=True)
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=limits[:2], ylim=limits[2:], aspect="equal")


def colour_bar(drawn: Figure, axes: Any, norm: Normalize, label: str, **options: Any) -> None:
    """The scale of the colours, with arrow heads: values beyond it are clipped."""
    bar = drawn.colorbar(ScalarMappable(norm, SCORES), ax=axes, extend="both", shrink=0.9, **options)
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))


def limits_around(*points: np.ndarray, margin: float = 0.12) -> Limits:
    """A square around all points ``(n, 2)``."""
    everything = np.concatenate(points)
    low, high = everything.min(0), everything.max(0)
    half = max(float((high - low).max()) / 2 * (1 + 2 * margin), 1e-6)
    centre = (low + high) / 2
    return (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)


def refuse_many_dimensions(samples: Tensor, *allowed: int) -> None:
    """Refuses samples that this kind of picture cannot show."""
    allowed = allowed or (1, 2)
    if samples.ndim != 2 or samples.shape[1] not in allowed:
        shown = " or ".join(f"({d},)" for d in allowed)
        raise ConfigError(f"This picture shows samples of shape {shown}, got {tuple(samples.shape[1:])}.")


def to_numpy(samples: Tensor) -> np.ndarray:
    """The samples as float32, on the CPU."""
    return samples.detach().float().cpu().numpy()


def _arrows(ax: Axes, points: np.ndarray, pulls: np.ndarray, limits: Limits) -> None:
    chosen = np.linspace(0, len(points) - 1, min(len(points), _MOST_ARROWS)).astype(int)
    lengths = np.linalg.norm(pulls, axis=1)
    longest = float(np.quantile(lengths, 0.95)) or 1.0
    scaled = pulls * np.minimum(1, longest / np.maximum(lengths, 1e-30))[:, None]
    scale = longest / (_ARROW * (limits[1] - limits[0]))
    ax.quiver(
        *points[chosen].T,
        *scaled[chosen].T,
        angles="xy",
        scale_units="xy",
        scale=scale,
        width=0.0035,
        zorder=5,
        minlength=0,
    )


def _on_a_line(
    real: np.ndarray,
    points: np.ndarray,
    pulls: np.ndarray | None,
    discriminator: Discriminator,
    like: Tensor,
    limits: Limits | None,
    title: str | None,
) -> Figure:
    everything = np.concatenate([real, points])
    margin = 0.12 * max(float(np.ptp(everything)), 1e-6)
    left, right = limits[:2] if limits else (everything.min() - margin, everything.max() + margin)
    grid = torch.linspace(float(left), float(right), 400)
    with torch.no_grad():
        scores = to_numpy(discriminator(grid[:, None].to(like.device, like.dtype)))
    drawn = figure(2.1)
    ax = drawn.subplots()
    ax.axhline(0, color="0.8", linewidth=0.6)
    ax.plot(grid, scores, color="black")
    rug(ax, real, points)
    ax.set(xlabel="$x$", ylabel="score $f(x)$", xlim=(left, right))
    if limits:
        ax.set_ylim(limits[2:])
    if title:
        ax.set_title(title)
    if pulls is None:
        return drawn
    low, high = ax.get_ylim()
    longest = float(np.quantile(np.abs(pulls), 0.95)) or 1.0
    place = low + 0.12 * (high - low)
    chosen = np.linspace(0, len(points) - 1, min(len(points), 40)).astype(int)
    ax.quiver(
        points[chosen, 0],
        np.full(len(chosen), place),
        np.clip(pulls[chosen, 0], -longest, longest),
        np.zeros(len(chosen)),
        angles="xy",
        scale_units="xy",
        scale=longest / (_ARROW * (right - left)),
        width=0.004,
        color=FAKE_LINE,
    )
    return drawn


def rug(ax: Axes, real: np.ndarray, fake: np.ndarray) -> None:
    """Points in 1-D as marks at the lower edge: fakes below, reals above them."""
    options = {"transform": ax.get_xaxis_transform(), "clip_on": False, "linestyle": "none", "markersize": 4}
    alpha = float(np.clip(20 / len(fake), 0.15, 1))
    ax.plot(real[:, 0], np.full(len(real), 0.045), marker="v", color=REAL_LINE, alpha=alpha, mew=0, **options)
    ax.plot(fake[:, 0], np.full(len(fake), 0.015), marker="^", color=FAKE_LINE, alpha=alpha, mew=0, **options)
    handles = [
        ax.plot([], [], marker=marker, color=color, linestyle="none", markersize=4, mew=0, label=label)[0]
        for marker, color, label in (("v", REAL_LINE, "real"), ("^", FAKE_LINE, "generated"))
    ]
    labelled = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_") and line not in handles]
    ax.legend(handles=[*labelled, *handles])
