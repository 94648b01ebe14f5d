"""How near finite discriminators come to the infinitely wide one: scores on a line, fields in the plane."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gantk.architectures import Architecture
from lightning_gantk.discriminators import Discriminator, FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.pictures.fields import (
    Limits,
    colour_bar,
    limits_around,
    refuse_many_dimensions,
    rug,
    score_field,
    show_field,
    to_numpy,
)
from lightning_gantk.pictures.style import around_zero, figure, scatter, styled, titled

# The 1-D modes of the paper's Figure 1.
FAKE_1D = (-1.8, -2.01, -1.2, -1.05, -0.45)
REAL_1D = (0.9, 1.5, 1.845, 1.98, 0.3)


@styled
def adequation(
    real: Tensor,
    fake: Tensor,
    architecture: Architecture,
    loss: AdversarialLoss,
    *,
    time: float = 1.0,
    widths: Sequence[int] = (64, 128, 256, 512),
    steps: int = 10,
    seed: int = 0,
) -> Figure:
    """Scores on 1-D data of finite discriminators of several widths and of the infinitely wide one.

    All start at f_0 = 0 and are trained once for the same time: the finite ones in ``steps`` gradient steps.

    Args:
        real: ``(M, 1)``.
        fake: ``(N, 1)``.
        architecture: Of all of them.
        loss: The adversarial loss.
        time: Training time T.
        widths: Of the finite ones.
        steps: Gradient steps of the finite ones.
        seed: Of their weights.

    Raises:
        ConfigError: If samples are not 1-D.
    """
    refuse_many_dimensions(real, 1)
    both = to_numpy(torch.cat([real, fake]))
    margin = 0.25 * float(np.ptp(both))
    grid = torch.linspace(float(both.min()) - margin, float(both.max()) + margin, 300)
    drawn = figure(2.3)
    ax = drawn.subplots()
    ax.axhline(0, color="0.8", linewidth=0.6)
    colours = matplotlib.colormaps["viridis_r"](np.linspace(0.12, 0.85, len(widths)))
    for width, colour in zip(widths, colours, strict=True):
        one = fitted(architecture, loss, width, real, fake, time=time, steps=steps, seed=seed)
        ax.plot(grid, _on_grid(one, grid, fake), color=colour, label=str(width))
    infinite = fitted(architecture, loss, None, real, fake, time=time)
    ax.plot(
        grid, _on_grid(infinite, grid, fake), color="black", linestyle=(0, (4, 1.5)), linewidth=1.4, label=r"$\infty$"
    )
    low, high = ax.get_ylim()
    ax.set(xlabel="$x$", ylabel="score $f(x)$", xlim=(grid[0], grid[-1]), ylim=(low - 0.08 * (high - low), high))
    rug(ax, to_numpy(real), to_numpy(fake))
    handles, labels = ax.get_legend_handles_labels()
    if (legend := ax.get_legend()) is not None:
        legend.remove()
    drawn.legend(handles, labels, loc="outside right upper", title="width", handlelength=1.5)
    ax.set_title(titled(infinite))
    return drawn


@styled
def comparison(
    real: Tensor,
    fake: Tensor,
    architecture: Architecture,
    loss: AdversarialLoss,
    *,
    time: float = 1.0,
    width: int = 512,
    steps: int = 10,
    seed: int = 0,
    limits: Limits | None = None,
) -> Figure:
    """Score fields in 2-D of a finite and of the infinitely wide discriminator, with one colour scale.

    Args:
        real: ``(M, 2)``.
        fake: ``(N, 2)``.
        architecture: Of both.
        loss: The adversarial loss.
        time: Training time T.
        width: Of the finite one.
        steps: Gradient steps of the finite one.
        seed: Of its weights.
        limits: Left, right, bottom, top; around the samples where none are given.

    Raises:
        ConfigError: If samples are not 2-D.
    """
    refuse_many_dimensions(real, 2)
    limits = limits or limits_around(to_numpy(real), to_numpy(fake))
    names = (f"width {width}", "infinite width")
    fields = [
        score_field(fitted(architecture, loss, one, real, fake, time=time, steps=steps, seed=seed), limits, like=fake)
        for one in (width, None)
    ]
    norm = around_zero(*fields)
    drawn = figure(2.45)
    drawn.suptitle(f"{type(loss).__name__}, time {time:g}")
    axes = drawn.subplots(1, 2, sharey=True)
    for ax, field, name in zip(axes, fields, names, strict=True):
        show_field(ax, field, limits, norm)
        scatter(ax, to_numpy(real), real=True, label="real")
        scatter(ax, to_numpy(fake), real=False, label="generated")
        ax.set_title(name)
    axes[1].set_ylabel("")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, handletextpad=0.2)
    colour_bar(drawn, list(axes), norm, "score $f(x)$", orientation="horizontal", aspect=40)
    return drawn


def fitted(
    architecture: Architecture,
    loss: AdversarialLoss,
    width: int | None,
    real: Tensor,
    fake: Tensor,
    *,
    time: float = 1.0,
    steps: int = 10,
    seed: int = 0,
) -> Discriminator:
    """A discriminator of a width (None: infinite), fitted once; global random numbers stay as they are."""
    if width is None:
        discriminator = NTKDiscriminator(architecture, loss, time=time)
        discriminator.fit(real, fake)
        return discriminator
    discriminator = FiniteDiscriminator(architecture, loss, width=width, time=time, steps=steps)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        discriminator.fit(real, fake)
    return discriminator


def _on_grid(discriminator: Discriminator, grid: Tensor, like: Tensor) -> np.ndarray:
    with torch.no_grad():
        return to_numpy(discriminator(grid[:, None].to(like)))
