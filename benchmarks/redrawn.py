"""The paper's experiments on points as pictures: ``python -m benchmarks.redrawn``.

Particles against the infinitely wide IPM discriminator, by the files of configs/paper: to 8 Gaussians, and from one
picture to another, where the pictures are our own (benchmarks/drawn.py).
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import command, drawn
from lightning_gantk.cli import GANCommand
from lightning_gantk.pictures.style import COLUMN, figure, save, scatter, styled

DATA = {"8gaussians": (), "density": ("density_a.png", "density_b.png"), "ab": ("A.png", "B.png")}
KERNELS = {"relu": "ReLU", "rbf": "RBF"}


def rows(data: str, steps: int, folder: Path) -> tuple[Tensor, dict[str, Tensor]]:
    """The real points of an experiment and, by title, the particles at the start and after a run of each kernel."""
    command_of_start = _fit(data, "relu", 0, folder)
    found = {"start": _particles(command_of_start)}
    for architecture, title in KERNELS.items():
        begun = time.perf_counter()
        command_of_run = _fit(data, architecture, steps, folder)
        sinkhorn = float(command_of_run.trainer.callback_metrics["val/sinkhorn"])
        seconds = time.perf_counter() - begun
        print(f"{data}, {title}, {steps:,} steps: Sinkhorn divergence {sinkhorn:.1e}, {seconds:.0f} s", flush=True)
        found[f"{title}, {sinkhorn:.1e}"] = _particles(command_of_run)
    samples = command_of_start.datamodule
    samples.setup("fit")
    return torch.stack([samples.train_dataset[i] for i in range(len(samples.train_dataset))]), found


@styled
def picture(found: dict[str, tuple[Tensor, dict[str, Tensor]]]) -> Figure:
    """A row of panels for each experiment: reals as black dots, particles as white ones."""
    panels = 1 + len(KERNELS)
    height = len(found) * (2 * COLUMN / panels + 0.15)
    made = figure(height, width=2 * COLUMN)
    for axes, (name, (real, particles)) in zip(
        made.subplots(len(found), panels, squeeze=False), found.items(), strict=True
    ):
        reach = 1.15 * float(torch.cat([real, *particles.values()]).abs().max())
        for ax, (title, points) in zip(axes, particles.items(), strict=True):
            scatter(ax, real.numpy(), real=True)
            scatter(ax, points.numpy(), real=False)
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[], title=title)
        axes[0].set_ylabel(name)
    return made


def _fit(data: str, architecture: str, steps: int, folder: Path) -> GANCommand:
    settings: dict[str, Any] = {
        "trainer.max_steps": steps,
        "trainer.val_check_interval": max(steps, 1),
        "trainer.default_root_dir": folder,
        "trainer.logger": "false",
        "trainer.enable_checkpointing": "false",
        "trainer.enable_progress_bar": "false",
    }
    if DATA[data]:
        drawn.write(folder)
        of_start = "model.generator.init_args.start.init_args.target.init_args"
        for place, name in zip((of_start, "data.init_args.target.init_args"), DATA[data], strict=True):
            settings[f"{place}.path"] = folder / name  # where there is a file nothing is fetched
    files = ["points/ipm_inf.yaml", f"architecture/{architecture}.yaml", f"data/{data}.yaml"]
    return command.fit([f"paper/{file}" for file in files], settings)


def _particles(of: GANCommand) -> Tensor:
    return of.model.generator.samples.detach().clone()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redrawn", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="generator steps of a run; the paper has 50,000")
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA), help="which experiments")
    parser.add_argument("--output", type=Path, default=Path("docs/images/reproduction.png"), help="the picture")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = {data: rows(data, options.steps, Path(folder)) for data in options.data}
    print("wrote", save(picture(found), options.output, dpi=150))


if __name__ == "__main__":
    main()
