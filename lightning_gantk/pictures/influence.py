"""The gradient field that one fake receives from one real point."""

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gantk.discriminators import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.pictures.fields import pull, to_numpy
from lightning_gantk.pictures.style import SPEEDS, figure, styled, titled

_REACH = 2.2  # of the picture, from the origin


@styled
def influence(
    discriminators: Mapping[str, Discriminator],
    *,
    real: tuple[float, float] = (1.0, 0.0),
    side: int = 13,
    in_shape: Sequence[int] = (2,),
    seed: int = 0,
) -> Figure:
    r"""For a grid of places of a single fake, where the discriminator drives it when one real point is all there is.

    At each place the discriminator is fitted to the two points, from where it stands now. Arrows show the direction
    alone; the colour behind them is the speed, relative to the largest of the panel, which its title tells.

    For images, and vectors in more than two dimensions, the plane of the picture is one through 0 spanned by two random
    directions. A unit of it is :math:`\sqrt{d/2}` long, so that an RBF kernel or an MLP, which see mean squares, show
    what they show in 2-D.

    Args:
        discriminators: Panels by title.
        real: The real point, in the plane.
        side: Places in a row and in a column.
        in_shape: Shape of a sample, ``(d,)`` or ``(C, H, W)``.
        seed: Of the directions, and of what a discriminator draws when it is reset.

    Raises:
        ConfigError: If a sample has fewer than two coordinates.
    """
    if math.prod(in_shape) < 2:
        raise ConfigError(f"This picture needs samples of at least two coordinates, got in_shape={list(in_shape)}.")
    plane = _plane(tuple(in_shape), seed)
    ticks = torch.linspace(-_REACH, _REACH, side)
    places = torch.cartesian_prod(ticks, ticks).flip(1)
    point = _embedded(torch.tensor([real]), plane)
    columns = min(len(discriminators), 2)
    rows = math.ceil(len(discriminators) / columns)
    # A single panel is as wide as the column leaves it; of two the width of each decides.
    drawn = figure(2.75 if columns == 1 else max(0.35 + 1.32 * rows, 2.1))
    axes = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    norm = Normalize(0, 1)
    for ax, (name, discriminator) in zip(axes.flat, discriminators.items(), strict=False):
        arrows = _pulls(discriminator, point, places, plane, seed)
        speeds = np.linalg.norm(arrows, axis=1)
        largest = float(speeds.max()) or 1.0
        shown = (speeds / largest).reshape(side, side)
        half = _REACH * (1 + 1 / (side - 1))
        ax.imshow(shown, extent=(-half, half, -half, half), origin="lower", cmap=SPEEDS, norm=norm, rasterized=True)
        unit = arrows / np.maximum(speeds, 1e-12 * largest)[:, None]
        unit[speeds < 1e-6 * largest] = 0
        step = 2 * _REACH / (side - 1)
        options = {"angles": "xy", "scale_units": "xy", "scale": 1 / (0.8 * step), "pivot": "mid", "width": 0.008}
        colours = np.where(shown.ravel() > 0.55, "black", "white")
        ax.quiver(*places.numpy().T, *unit.T, color=colours, headwidth=4, minlength=0, **options)
        ax.plot(*real, marker="X", color="#D55E00", markeredgecolor="white", markeredgewidth=0.6, markersize=7)
        ax.set(title=f"{name} ({largest:.2g})", aspect="equal")
    for ax in axes.flat[len(discriminators) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("$x_1$")
    for ax in axes[:, 0]:
        ax.set_ylabel("$x_2$")
    bar = drawn.colorbar(ScalarMappable(norm, SPEEDS), ax=axes, shrink=0.9)
    bar.set_label("gradient / largest" if rows == 1 else "gradient, relative to the largest")
    first = next(iter(discriminators.values()))
    drawn.suptitle(titled(first))
    bar.outline.set_linewidth(0.5)
    return drawn


def _pulls(discriminator: Discriminator, real: Tensor, places: Tensor, plane: Tensor, seed: int = 0) -> np.ndarray:
    """What drives a fake at each place ``(P, 2)``, in the coordinates of the plane; from the same start each time."""
    if not discriminator.scores_all_alike:
        raise ConfigError(f"{type(discriminator).__name__} moves fakes by something else than its scores.")
    discriminator.build(tuple(real.shape[1:]))
    start = copy.deepcopy(discriminator.state_dict())
    found = []
    with torch.random.fork_rng(devices=[]):
        for fake in _embedded(places, plane):
            torch.default_generator.manual_seed(seed)
            discriminator.load_state_dict(start)
            discriminator.fit(real, fake[None])
            found.append(pull(discriminator, fake[None]))
    discriminator.load_state_dict(start)
    directions = to_numpy(plane.flatten(1))
    return np.concatenate(found).reshape(len(places), -1) @ directions.T


def _plane(in_shape: tuple[int, ...], seed: int) -> Tensor:
    """Two orthogonal directions ``(2, *in_shape)``, as long as a unit of the picture."""
    size = math.prod(in_shape)
    if size == 2:
        return torch.eye(2).view(2, *in_shape)
    drawn = torch.randn(size, 2, generator=torch.Generator().manual_seed(seed))
    return (torch.linalg.qr(drawn)[0].T * math.sqrt(size / 2)).reshape(2, *in_shape)


def _embedded(points: Tensor, plane: Tensor) -> Tensor:
    found = torch.tensordot(points, plane, dims=1)
    return found.contiguous(memory_format=torch.channels_last) if found.ndim == 4 else found
