"""How samples change along the flow of a Discriminator Flow, and how near to real ones they are on the way."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import Quality
from lightning_gantk.pictures.image_grid import image_grid
from lightning_gantk.pictures.style import COLUMN, FAKE_LINE, figure, scatter, styled

if TYPE_CHECKING:
    from lightning_gantk.flows import FlowGenerator

_BATCH = 500  # samples that flow together
_SHOWN = 16  # images of a panel


def samples_at(flow: "FlowGenerator", latent: Tensor, steps: Sequence[int]) -> dict[int, Tensor]:
    """Where noise ``(N, *out_shape)`` is after each of some numbers of steps, whatever ``stop`` says."""
    kept: dict[int, list[Tensor]] = {step: [] for step in sorted(set(steps))}
    if not kept or min(kept) < 0 or max(kept) > flow.steps:
        raise ConfigError(f"'steps' must lie between 0 and the flow's {flow.steps}, got {list(steps)}.")

    def keep(step: int, z: Tensor) -> None:
        if step in kept:
            kept[step].append(z.detach())

    for part in latent.split(_BATCH):
        flow.flow(part, max(kept), keep)
    return {step: torch.cat(parts) for step, parts in kept.items()}


def measured(samples: Mapping[int, Tensor], real: Iterable[Tensor], quality: Quality) -> dict[int, dict[str, float]]:
    """The values of a measure, by steps of the flow, against batches of real samples."""
    for batch in real:
        quality.update(batch, real=True)
    found: dict[int, dict[str, float]] = {}
    for step, those in samples.items():
        for part in those.split(_BATCH):
            quality.update(part, real=False)
        found[step] = {name: float(value) for name, value in quality.compute().items()}
        quality.reset()
    return found


def even(steps: int, count: int) -> list[int]:
    """So many numbers of steps, evenly from 0 to all of them."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ConfigError(f"A flow is looked at in at least 2 places, its ends; got {count!r}.")
    return sorted({round(steps * place / (count - 1)) for place in range(count)})


@styled
def along_flow(
    samples: Mapping[int, Tensor], real: Tensor, values: Mapping[int, float] | None = None, name: str = ""
) -> Figure:
    """A panel of samples for each number of steps, and below them a measure over the steps.

    Args:
        samples: Images ``(N, C, H, W)`` or points ``(N, 2)``, by steps of the flow.
        real: Real samples, drawn behind points.
        values: Of the measure, by steps; without them the curve is left out.
        name: Of the measure.
    """
    shape = tuple(real.shape[1:])
    if shape != (2,) and (len(shape) != 3 or shape[0] not in (1, 3)):
        raise ConfigError(f"This picture shows points in 2-D, or images of 1 or 3 channels; got samples {shape}.")
    width = 2 * COLUMN
    drawn = figure(width / len(samples) + (2.0 if values else 0.3), width=width)
    rows = 2 if values else 1
    parts = drawn.subfigures(rows, 1, height_ratios=[width / len(samples) + 0.3, 1.7][:rows], squeeze=False)
    for ax, (step, those) in zip(parts[0, 0].subplots(1, len(samples)), samples.items(), strict=True):
        _panel(ax, those, real)
        ax.set(xticks=[], yticks=[], title=f"step {step}")
    if values:
        ax = parts[1, 0].subplots()
        ax.plot(list(values), list(values.values()), color=FAKE_LINE, marker=".")
        ax.set(xlabel="steps of the flow", ylabel=name, yscale="log" if min(values.values()) > 0 else "linear")
    return drawn


def _panel(ax: Axes, samples: Tensor, real: Tensor) -> None:
    if real.ndim == 4:
        ax.imshow(image_grid(samples[:_SHOWN]).movedim(0, -1).numpy())
        return
    reach = 1.15 * float(real.abs().max())
    scatter(ax, real.numpy(), real=True)
    scatter(ax, samples.numpy(), real=False)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
