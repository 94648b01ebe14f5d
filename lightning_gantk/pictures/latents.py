"""Pictures of what a generator has learned: between latents, along them, nearer to their mean, beside real samples."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gantk.errors import ConfigError
from lightning_gantk.gan import GAN
from lightning_gantk.pictures.style import COLUMN, figure, styled

_STEEP = 1e-6  # of an angle below which a great circle is a line


def interpolation(gan: GAN, *, rows: int = 6, steps: int = 9, seed: int = 0) -> Tensor:
    """Samples ``(rows * steps, ...)`` on the way from one latent to another, a row for each pair.

    Between normal latents the way is a great circle: a straight line leads through lengths that training never saw.
    """
    noise, classes = _noise(gan, 2 * rows, seed)
    ends = noise.view(rows, 2, -1)
    way = torch.linspace(0, 1, steps, dtype=noise.dtype)
    sampler = getattr(gan.generator, "latent_sampler", None)
    curved = getattr(sampler, "distribution", None) == "normal"
    between = [_between(first, last, way, curved=curved) for first, last in ends]
    return _sampled(gan, torch.cat(between), None if classes is None else classes[::2].repeat_interleave(steps, 0))


def sweep(gan: GAN, *, coordinates: int = 6, steps: int = 9, reach: float = 3.0, seed: int = 0) -> Tensor:
    """Samples ``(coordinates * steps, ...)`` of one latent, of which one coordinate a row goes from -reach to reach.

    The coordinates are those that change the sample most.
    """
    noise, classes = _noise(gan, 1, seed)
    every = noise.expand(noise.shape[1], -1)
    ends = [every.clone().fill_diagonal_(end) for end in (-reach, reach)]
    first, last = (_sampled(gan, end, None if classes is None else classes.expand(len(end), -1)) for end in ends)
    chosen = (first - last).flatten(1).norm(dim=1).argsort(descending=True)[:coordinates]
    swept = noise.repeat(len(chosen) * steps, 1)
    swept[torch.arange(len(swept)), chosen.repeat_interleave(steps)] = torch.linspace(-reach, reach, steps).repeat(
        len(chosen)
    )
    return _sampled(gan, swept, None if classes is None else classes.expand(len(swept), -1))


def truncation(
    gan: GAN, *, levels: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0), count: int = 8, seed: int = 0
) -> Tensor:
    """Samples ``(levels * count, ...)`` of the same latents, multiplied by a level in each row: 0 is their mean, 1 they
    themselves. Nearer to the mean samples are better, and more alike.
    """
    if not levels or any(level < 0 for level in levels):
        raise ConfigError(f"'levels' must be numbers of at least 0, got {list(levels)}.")
    noise, classes = _noise(gan, count, seed)
    rows = torch.cat([level * noise for level in levels])
    return _sampled(gan, rows, None if classes is None else classes.repeat(len(levels), 1))


@styled
def grid(images: Tensor, *, columns: int, title: str, rows: Sequence[str] = ()) -> Figure:
    """Images ``(n, C, H, W)`` in [-1, 1] in rows, with a title above and a word before each row."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ConfigError(f"This picture shows images of 1 or 3 channels, got samples {tuple(images.shape[1:])}.")
    lines = -(-len(images) // columns)
    height, width = images.shape[2:]
    room = COLUMN - (0.45 if rows else 0.1)
    drawn = figure(0.3 + room * lines * height / (columns * width))
    axes = drawn.subplots(lines, columns, squeeze=False)
    shown = ((images.detach().float().cpu().clamp(-1, 1) + 1) / 2).movedim(1, -1).numpy()
    for place, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if place < len(shown):
            ax.imshow(shown[place].squeeze(-1) if shown.shape[-1] == 1 else shown[place], cmap="gray", vmin=0, vmax=1)
    for word, ax in zip(rows, axes[:, 0], strict=False):
        ax.set_ylabel(word, rotation=0, ha="right", va="center")
    drawn.suptitle(title)
    return drawn


def _noise(gan: GAN, count: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Latents ``(count, d)``; of a generator with classes without the part that says which, and that part."""
    latent = gan.generator.fixed_latent(count, seed)
    if not latent.is_floating_point() or latent.ndim != 2:
        raise ConfigError(f"{type(gan.generator).__name__} has no latents to go along: its samples are numbered.")
    if gan.generator.classes is None:
        return latent, None
    return latent[:, : -gan.generator.classes], latent[:, -gan.generator.classes :]


def _sampled(gan: GAN, noise: Tensor, classes: Tensor | None) -> Tensor:
    latent = noise if classes is None else torch.cat([noise, classes], 1)
    return torch.cat([gan.sample(part) for part in latent.split(256)])


def _between(first: Tensor, last: Tensor, way: Tensor, *, curved: bool) -> Tensor:
    """Points ``(steps, d)`` from one latent to another."""
    share = way[:, None]
    lengths = first.norm(), last.norm()
    angle = torch.arccos((first @ last / (lengths[0] * lengths[1])).clamp(-1, 1))
    if not curved or angle.sin() < _STEEP:
        return (1 - share) * first + share * last
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)
