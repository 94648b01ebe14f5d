"""The experiments of configs/systems on 8 Gaussians in one process: energy distance, modes and time of each critic."""

import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

from benchmarks.command import CONFIGS
from datamodules.targets import GaussianRing
from lightning_gantk.cli import GANCommand
from lightning_gantk.discriminators import Discriminator
from lightning_gantk.pictures import style

STEPS, COUNT = 300, 256


class _Made(GANCommand):
    """Makes what a configuration says, and runs nothing."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """The energy distance."""
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def _flow(discriminator: Discriminator, rate: float, real: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Particles after all steps, each moved by its own gradient, and the median CPU time of a step in ms."""
    torch.manual_seed(0)
    if discriminator.sees_all_reals:
        discriminator.prepare(real.split(128))
    x, times = torch.randn(COUNT, 2), []
    for _ in range(STEPS):
        begun = time.process_time()
        at = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator.generator_loss(real, at), at)
        x = x - rate * COUNT * gradient
        times.append(time.process_time() - begun)
    return x, 1000 * float(torch.tensor(times).median())


@style.styled
def draw() -> Figure:
    ring = GaussianRing()
    centres = ring.modes
    assert centres is not None  # a ring has some
    real, other = (ring.sample(COUNT, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    print(f"| critic | rate | energy distance after {STEPS} steps | modes | CPU ms per step |")
    print("| --- | ---: | ---: | ---: | ---: |")
    files = sorted((CONFIGS / "systems").glob("*/8gaussians.yaml"))
    drawn = style.figure(4.0, width=5.0)
    axes = list(drawn.subplots(3, 4).flat)
    for ax, file in zip(axes, files, strict=False):
        model = _Made(["fit", f"--config={file}"]).model
        rate = model.configure_optimizers().param_groups[0]["lr"]
        x, taken = _flow(model.discriminator, rate, real)
        near = torch.cdist(x, centres)
        modes = len(near.argmin(1)[near.min(1).values < 3 * ring.std].unique())
        name = _name(file)
        print(f"| {name} | {rate:g} | {_distance(x, real):.4f} | {modes} | {taken:.0f} |", flush=True)
        ax.plot(*real.T, ".", color=style.REAL_LINE, markersize=0.8)
        ax.plot(*x.T, ".", color=style.FAKE_LINE, markersize=0.8)
        ax.set(title=name, xticks=[], yticks=[], xlim=(-8, 8), ylim=(-8, 8), aspect="equal")
    print(f"| other real samples |  | {_distance(other, real):.4f} | 8 |  |")
    for ax in axes[len(files) :]:
        ax.set_axis_off()
    return drawn


def _name(file: Path) -> str:
    return file.parent.name.replace("_", " ")
