"""Both players of a GAN at infinite width, and finite pairs beside them: ``python -m benchmarks.both_infinite``.

Generator and discriminator have one architecture each. At infinite width the generator is trained by the flow of its
NTK and the discriminator is the exact flow of its own: nothing in that GAN is finite but its samples. At width w both
are networks, which start from the same function, see the same latents and take the same steps.
"""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from datamodules.targets import GaussianRing
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import Discriminator, FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.generators import Generator, NetworkGenerator, NTKGenerator
from lightning_gantk.losses import IPM
from lightning_gantk.pictures.style import FAKE_LINE, REAL_LINE, figure, save, styled

GENERATOR = MLP(2, b_std=None, W_std=math.sqrt(2))
DISCRIMINATOR = MLP(2)
_SAMPLES, _LATENT_DIM, _RATE = 64, 8, 0.03


def trajectory(generator: Generator, discriminator: Discriminator, latents: Tensor, real: Tensor, steps: int) -> Tensor:
    """Samples of the latents before each step and after the last, ``(steps + 1, n, 2)``, by plain gradient descent."""
    optimizer = torch.optim.SGD(generator.parameters(), lr=_RATE * len(latents))
    places = [generator(latents).detach().clone()]
    for _ in range(steps):
        fake = generator(latents)
        discriminator.fit(real, fake.detach())
        optimizer.zero_grad()
        discriminator.loss.generator(discriminator(fake)).backward()
        optimizer.step()
        places.append(generator(latents).detach().clone())
    return torch.stack(places)


def infinite(steps: int) -> tuple[NTKGenerator, Tensor, Tensor]:
    """The infinite pair's generator after training, the real samples and the trajectory."""
    real = GaussianRing(8, 2.0, 0.1).sample(_SAMPLES, torch.Generator().manual_seed(0))
    generator = NTKGenerator(GENERATOR, _SAMPLES, _LATENT_DIM, (2,), start_scale=0.5)
    discriminator = NTKDiscriminator(DISCRIMINATOR, IPM(), time=1.0, check_every=0)
    return generator, real, trajectory(generator, discriminator, generator.latents, real, steps)


def finite(width: int, seed: int, latents: Tensor, real: Tensor, steps: int) -> Tensor:
    """The trajectory of the pair of a width."""
    torch.manual_seed(seed)
    generator = NetworkGenerator(GENERATOR, width, _LATENT_DIM, (2,), start_scale=0.5)
    discriminator = FiniteDiscriminator(DISCRIMINATOR, IPM(), width=width, time=1.0, steps=2, reset=True)
    return trajectory(generator, discriminator, latents, real, steps)


def error(found: Tensor, wanted: Tensor) -> np.ndarray:
    """After each step, how far samples are from where they should be, by how far these have come at the end."""
    way = (wanted[-1] - wanted[0]).norm()
    return ((found - wanted).flatten(1).norm(dim=1) / way).numpy()


@styled
def picture(real: Tensor, wanted: Tensor, shown: Tensor, width: int, errors: dict[int, list[np.ndarray]]) -> Figure:
    """Trajectories of the infinite pair and of a finite one, and the errors of all widths."""
    drawn = figure(2.4, width=7.0)
    left, middle, right = drawn.subplots(1, 3)
    _draw_paths(left, real, wanted, "both infinite")
    _draw_paths(middle, real, shown, f"both of width {width}")
    widths = sorted(errors)
    ends = np.array([[one[-1] for one in errors[width]] for width in widths])
    for column in ends.T:
        right.loglog(widths, column, "o", color=FAKE_LINE, markersize=3.5)
    right.loglog(widths, ends.mean(1), color=FAKE_LINE)
    line = ends.mean() * np.sqrt(np.exp(np.mean(np.log(widths))) / np.array(widths))
    right.loglog(widths, line, "--", color="0.5", linewidth=0.8)
    right.annotate("1/sqrt(width)", (widths[-1], line[-1]), ha="right", va="bottom", fontsize=7, color="0.4")
    right.minorticks_off()
    right.set_xticks(widths, [str(width) for width in widths])
    right.set_yticks(ticks := [tick for tick in (0.05, 0.1, 0.2, 0.4, 0.8) if tick > 0.7 * ends.min()])
    right.set_yticklabels([f"{tick:g}" for tick in ticks])
    right.set_xlabel("width of both")
    right.set_title("distance to the infinite pair, at the end")
    return drawn


def _draw_paths(axis: Axes, real: Tensor, places: Tensor, title: str) -> None:
    for path in places.transpose(0, 1):
        axis.plot(*path.T, color="0.75", linewidth=0.4, zorder=1)
    axis.scatter(*real.T, s=5, color=REAL_LINE, zorder=2, linewidths=0)
    axis.scatter(*places[-1].T, s=7, color=FAKE_LINE, zorder=3, linewidths=0)
    axis.set_aspect("equal")
    axis.set_xlim(-2.7, 2.7)
    axis.set_ylim(-2.7, 2.7)
    axis.set_title(title)


def main(arguments: list[str] | None = None) -> dict[int, list[np.ndarray]]:
    """Runs all pairs, draws the picture and prints the errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.both_infinite", description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="generator steps")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024], help="of the finite pairs")
    parser.add_argument("--seeds", type=int, default=3, help="pairs of each width")
    parser.add_argument("--output", type=Path, default=Path("docs/images/systems/both_infinite.png"), help="picture")
    options = parser.parse_args(arguments)
    generator, real, wanted = infinite(options.steps)
    errors: dict[int, list[np.ndarray]] = {}
    shown, shown_width = wanted, 0
    for width in options.widths:
        errors[width] = []
        for seed in range(options.seeds):
            found = finite(width, seed, generator.latents, real, options.steps)
            errors[width].append(error(found, wanted))
            if width == sorted(options.widths)[len(options.widths) // 2]:
                shown, shown_width = found, width
        print(f"width {width}: {_told(one[-1] for one in errors[width])}", flush=True)
    save(picture(real, wanted, shown, shown_width, errors), options.output, dpi=130)
    return errors


def _told(values: Iterable[float]) -> str:
    return json.dumps([round(float(value), 4) for value in values])


if __name__ == "__main__":
    main()
