"""How a step grows with the batch, as a plot."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks import problems
from benchmarks.rows import RELU_DCGAN, RELU_MLP
from benchmarks.timing import median
from lightning_gantk.architectures import Architecture
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Vanilla
from lightning_gantk.pictures import style


class Curve(NamedTuple):
    """A line of the plot: a step at sizes from ``first`` to ``last``, by our engine or by neural-tangents."""

    label: str
    architecture: Architecture
    loss: AdversarialLoss
    first: int
    last: int
    ours: bool = True


CURVES = (
    Curve("IPM, DCGAN", RELU_DCGAN, IPM(), 64, 1024),
    Curve("vanilla, MLP", RELU_MLP, Vanilla(), 128, 4096),
    Curve("LSGAN, MLP", RELU_MLP, LSGAN(), 128, 4096),
    Curve("IPM, MLP", RELU_MLP, IPM(), 128, 16384),
    Curve("IPM, DCGAN, neural-tangents", RELU_DCGAN, IPM(), 64, 128, ours=False),
    Curve("IPM, MLP, neural-tangents", RELU_MLP, IPM(), 128, 2048, ours=False),
)
_COLOURS = {"DCGAN": "#D55E00", "vanilla": "#009E73", "LSGAN": "#CC79A7", "IPM, MLP": "#0072B2"}


def plot(path: Path, *, quick: bool = False) -> None:
    """Times steps (fit, scores, gradient, in torch) over n = m on 32x32x1 and writes a plot to ``path``."""
    style.checked(path)
    draw(path, {curve: list(_timed(curve, quick=quick)) for curve in CURVES})


@style.styled
def draw(path: Path, found: dict[Curve, list[tuple[int, float]]]) -> None:
    """Writes a plot of (n, seconds) of some curves."""
    figure = style.figure(3.0)
    axes = figure.subplots()
    for curve, points in found.items():
        colour = next(colour for part, colour in _COLOURS.items() if part in curve.label)
        look = {"marker": "o", "linestyle": "-"} if curve.ours else {"marker": "s", "linestyle": ":"}
        axes.loglog(*zip(*points, strict=True), markersize=2.5, color=colour, label=curve.label, **look)
    device = jax.devices()[0].device_kind
    axes.set(xlabel="fakes, and reals, n = m", ylabel="seconds", title=f"One step on {device}, 32 x 32 x 1")
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=6)
    style.save(figure, path)


def _timed(curve: Curve, *, quick: bool) -> Iterator[tuple[int, float]]:
    """(n, median seconds of a step), printed as they come."""
    n, last = (16, 32) if quick else (curve.first, curve.last)
    while n <= last:
        given = problems.batch(n)
        if curve.ours:
            run = problems.infinite(curve.architecture, curve.loss, given)
        else:
            run = problems.whole(curve.architecture, given)
        seconds = median(run, repeats=3 if n >= 2048 else 15)
        print(f"| {curve.label} | {n} | {seconds:.4f} s |", flush=True)
        yield n, seconds
        n *= 2
