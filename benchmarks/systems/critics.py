"""The experiments of configs/systems on 8 Gaussians, each for the same seconds of the processor, in one process."""

import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

from benchmarks.command import CONFIGS
from datamodules.targets import GaussianRing
from lightning_gantk import GAN, bridge
from lightning_gantk.cli_partial import MadeCommand
from lightning_gantk.compare.report.figures import PALETTE
from lightning_gantk.generators import Particles
from lightning_gantk.pictures import style

SECONDS, COUNT, LOOKS = 2.0, 256, 40
# Another generator, flow, coupling, generator's loss.
NO_CRITICS = ("both_infinite", "discriminator_flow", "effective_dynamics", "monoflow")


def _distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """The energy distance of Székely and Rizzo, twice ``metrics.EnergyDistance``."""
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def _flow(gan: GAN, real: torch.Tensor) -> tuple[torch.Tensor, int, list[float]]:
    """Particles after the seconds, by the file's own optimizer; steps; distances at equal shares of the seconds."""
    torch.manual_seed(0)
    assert isinstance(gan.generator, Particles)  # in all of these files
    particles, discriminator, optimizer = gan.generator.samples, gan.discriminator, gan.configure_optimizers()
    particles.data.normal_()
    if discriminator.sees_all_reals:
        discriminator.prepare(real.split(128))
    steps, spent, curve = 0, 0.0, [_distance(particles.detach(), real)]
    while spent < SECONDS:
        begun, compiled = time.process_time(), bridge.compile_seconds() or 0.0
        optimizer.zero_grad()
        discriminator.generator_loss(real, gan.generator(gan.generator.latent(COUNT))).backward()
        optimizer.step()
        steps += 1
        if steps > 1:  # the first one traces everything
            taken = time.process_time() - begun
            spent += max(0.0, taken - (bridge.compile_seconds() or 0.0) + compiled)
        while len(curve) <= min(LOOKS, int(spent / SECONDS * LOOKS)):
            curve.append(_distance(particles.detach(), real))
    return particles.detach(), steps, curve


@style.styled
def draw() -> Figure:
    ring = GaussianRing()
    centres = ring.modes
    assert centres is not None  # a ring has some
    real, other = (ring.sample(COUNT, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    print(f"| critic | rate | steps | energy distance after {SECONDS / 4:g} s | {SECONDS:g} s | modes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    found = sorted((CONFIGS / "systems").glob("*/8gaussians.yaml"))
    files = [file for file in found if file.parent.name not in NO_CRITICS]
    rows = -(-len(files) // 4)
    drawn = style.figure(2.2 + 1.4 * rows, width=6.2)
    places = drawn.add_gridspec(1 + rows, 4, height_ratios=[1.7, *[1] * rows])
    curves, legend = drawn.add_subplot(places[0, :3]), drawn.add_subplot(places[0, 3])
    axes = [drawn.add_subplot(places[1 + place // 4, place % 4]) for place in range(4 * rows)]
    for place, (ax, file) in enumerate(zip(axes, files, strict=False)):  # the last row may have room
        model = MadeCommand(["fit", f"--config={file}"]).model
        rate, name = model.configure_optimizers().param_groups[0]["lr"], _name(file)
        x, steps, curve = _flow(model, real)
        near = torch.cdist(x, centres)
        modes = len(near.argmin(1)[near.min(1).values < 3 * ring.std].unique())
        print(f"| {name} | {rate:g} | {steps:,} | {curve[LOOKS // 4]:.4f} | {curve[-1]:.4f} | {modes} |", flush=True)
        seconds = [SECONDS * look / LOOKS for look in range(len(curve))]
        curves.plot(seconds, curve, "-" if place % 2 else "--", color=PALETTE[place % len(PALETTE)], label=name)
        ax.plot(*real.T, ".", color=style.REAL_LINE, markersize=0.8)
        ax.plot(*x.T, ".", color=style.FAKE_LINE, markersize=0.8)
        ax.set(title=name, xticks=[], yticks=[], xlim=(-8, 8), ylim=(-8, 8), aspect="equal")
    level = _distance(other, real)
    print(f"| other real samples |  |  |  | {level:.4f} | 8 |")
    curves.axhline(level, color="0.6", linestyle=":", label="other real samples")
    curves.set(xlabel="seconds of the processor", ylabel="energy distance", yscale="log")
    legend.legend(*curves.get_legend_handles_labels(), loc="center left", fontsize=6)
    for ax in (legend, *axes[len(files) :]):
        ax.set_axis_off()
    return drawn


def _name(file: Path) -> str:
    return file.parent.name.replace("_", " ")
