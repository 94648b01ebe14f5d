"""Durr's transition to mode collapse with nothing finite in it: coupled particles against kernels that are kept.

All runs of a speed are one computation. What a discriminator holds is a sum over the particles of the past, as in
``NTKDiscriminator(keep=True)``; the tests compare.
"""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from datamodules.targets import GaussianRing
from lightning_gantk.pictures import style

COUPLINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
SPEEDS = (0.1, 0.2, 0.4)  # h_d
LENGTHS = (1.0, 0.7)  # of the Gaussian kernels
SEEDS, STEPS, LAST = 3, 700, 500
PARTICLES, SPREAD, RATE, DECAY, FORGET = 16, 0.3, 0.5, 0.3, 1e-3
_NEAR = 0.5  # of a real: it is found
_REAL = GaussianRing(8, 2.0, 0.0, in_turn=True).sample(8, torch.Generator())


def start(seed: int) -> Tensor:
    """Particles ``(16, 2)`` of a seed, the same for every coupling, speed and kernel."""
    return SPREAD * torch.randn(PARTICLES, 2, generator=torch.Generator().manual_seed(seed))


def slopes(x: Tensor, points: Tensor, weights: Tensor, length: Tensor) -> Tensor:
    """Gradients at ``(R, n, 2)`` of sums of Gaussian kernels at ``(R, P, 2)``, weights ``(P,)``, lengths ``(R,)``."""
    square = length[:, None, None].square()
    distances = x.square().sum(-1)[:, :, None] + points.square().sum(-1)[:, None] - 2 * x @ points.mT
    kernel = weights * torch.exp(-distances.clamp(min=0) / (2 * square))
    return (kernel @ points - x * kernel.sum(-1, keepdim=True)) / square


def run(x: Tensor, coupling: Tensor, length: Tensor, speed: float, steps: int) -> tuple[Tensor, Tensor]:
    """Moves particles ``(R, n, 2)`` of R runs with couplings and kernel lengths ``(R,)``.

    Returns:
        Where they end, and how many reals each run had found after each step ``(steps, R)``.
    """
    runs, n, _ = x.shape
    left = 1 - speed * DECAY
    kept = math.ceil(math.log(FORGET) / math.log(left))
    past, found = torch.empty(runs, steps * n, 2), torch.empty(steps, runs)
    real = _REAL.expand(runs, -1, -1)
    for step in range(steps):
        past[:, step * n : (step + 1) * n] = x
        first = max(0, step + 1 - kept)
        ages = torch.arange(step - first, -1, -1).repeat_interleave(n)
        of_fakes = slopes(x, past[:, first * n : (step + 1) * n], speed / n * left**ages, length)
        mass = (1 - left ** (step + 1)) / DECAY  # of the reals, which are always the same
        slope = of_fakes - slopes(x, real, torch.full((len(_REAL),), mass / len(_REAL)), length)
        g = coupling[:, None, None]
        x = x - RATE * ((1 - g) * slope + g * slope.sum(1, keepdim=True))
        found[step] = (torch.cdist(real, x).amin(-1) < _NEAR).sum(-1)
    return x, found


def modes(speed: float) -> Tensor:
    """Reals found, mean over the last steps: ``(kernels, couplings, seeds)``."""
    axes = (torch.tensor(LENGTHS), torch.tensor(COUPLINGS), torch.arange(SEEDS, dtype=torch.float32))
    length, coupling, seed = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
    _, found = run(torch.stack([start(int(one)) for one in seed]), coupling, length, speed, STEPS)
    return found[-LAST:].mean(0).view(*(len(axis) for axis in axes))


@style.styled
def draw() -> Figure:
    found = torch.stack([modes(speed) for speed in SPEEDS], 1)  # kernels, speeds, couplings, seeds
    drawn = style.figure(1.9, width=2 * style.COLUMN)
    axes = drawn.subplots(1, len(LENGTHS), sharey=True)
    for ax, length, those in zip(axes, LENGTHS, found, strict=True):
        for speed, row in zip(SPEEDS, those, strict=True):
            told = ("/".join(f"{value:.1f}" for value in cell) for cell in row.tolist())
            print(f"length {length:g}, speed {speed:g}: {', '.join(told)}")
        _map(ax, those.mean(-1))
        ax.set(title=f"kernel of length {length:g}", xlabel="coupling g")
    axes[0].set_ylabel("speed $h_d$")
    drawn.colorbar(axes[-1].collections[0], ax=axes, label="reals found")
    return drawn


def _map(ax: Axes, means: Tensor) -> None:
    ax.pcolormesh(means.numpy(), cmap=style.SPEEDS, norm=Normalize(0, len(_REAL)), edgecolors="white", linewidth=1)
    for row, values in enumerate(means.tolist()):
        for column, mean in enumerate(values):
            colour = "white" if mean < len(_REAL) / 2 else "black"
            ax.text(column + 0.5, row + 0.5, f"{mean:.1f}", ha="center", va="center", color=colour)
    ax.set_xticks([i + 0.5 for i in range(len(COUPLINGS))], [f"{one:g}" for one in COUPLINGS])
    ax.set_yticks([i + 0.5 for i in range(len(SPEEDS))], [f"{one:g}" for one in SPEEDS])
