"""A run of particles, and new samples pushed through its discriminators: ``python -m benchmarks.replay``.

100 particles from N(0, 1) move to 100 points of two modes on a line, against the infinitely wide IPM discriminator of a
Gaussian kernel. Then 2,000 new samples of N(0, 1) go through the discriminators that the particles met.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from matplotlib.figure import Figure
from torch import Tensor

from datamodules import PointsDataModule
from datamodules.targets import GaussianMixture
from lightning_gantk import GAN
from lightning_gantk.callbacks import StoreFlow
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import Particles, ReplayedFlow
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM
from lightning_gantk.pictures.style import FAKE_LINE, REAL_LINE, figure, save, styled


def run(folder: Path, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The real points, the particles at the end, and where their start goes when it is replayed: ``(100, 1)`` each."""
    torch.manual_seed(0)
    particles = Particles(100, (1,), per_particle=True)
    start = particles.samples.detach().clone()
    discriminator = NTKDiscriminator(RBF(0.5), IPM(), time=1.0, check_every=0)
    gan = GAN(particles, discriminator, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.3))
    data = PointsDataModule(GaussianMixture([-2.0, 2.0], 0.3, in_turn=True), num_samples=100)
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    silent |= {"enable_model_summary": False, "limit_val_batches": 0, "max_epochs": -1}
    trainer = Trainer(max_steps=steps, default_root_dir=folder, callbacks=[StoreFlow()], **silent)
    trainer.fit(gan, datamodule=data)
    replayed = ReplayedFlow(folder / "flow", discriminator)
    real = torch.stack([data.train_dataset[i] for i in range(len(data.train_dataset))])
    return real, particles.samples.detach(), replayed(start)


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """Of the kernel exp(-|x - y|^2 / 2), in float64."""

    def mean(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-(torch.cdist(a.double(), b.double()) ** 2) / 2).mean()

    return float(mean(x, x) + mean(y, y) - 2 * mean(x, y))


@styled
def picture(real: Tensor, particles: Tensor, fresh: Tensor) -> Figure:
    """Histograms of the real points, the particles and the new samples."""
    drawn = figure(2.0, width=4.2)
    axis = drawn.subplots()
    bins = np.linspace(-3.5, 3.5, 57).tolist()
    axis.hist(real[:, 0].numpy(), bins, density=True, color="0.8", label="100 real points")
    axis.hist(particles[:, 0].numpy(), bins, density=True, histtype="step", color=REAL_LINE, label="100 particles")
    axis.hist(fresh[:, 0].numpy(), bins, density=True, histtype="step", color=FAKE_LINE, label="2,000 new samples")
    axis.legend(loc="upper center")
    axis.set_yticks([])
    return drawn


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Runs it, prints the figures and draws the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--steps", type=int, default=1500, help="of the particles")
    parser.add_argument("--fresh", type=int, default=2000, help="new samples")
    parser.add_argument("--output", type=Path, default=Path("docs/images/systems/replay.png"), help="picture")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        real, particles, again = run(Path(folder), options.steps)
        discriminator = NTKDiscriminator(RBF(0.5), IPM(), time=1.0, check_every=0)
        flow = ReplayedFlow(Path(folder) / "flow", discriminator)
        latent = flow.latent(options.fresh, generator=torch.Generator().manual_seed(1))
        fresh = flow(latent)
    found = {
        "squared MMD of the new samples' start": squared_mmd(latent, real),
        "squared MMD of the particles": squared_mmd(particles, real),
        "squared MMD of the new samples": squared_mmd(fresh, real),
        "largest error of the particles, replayed": float((again - particles).abs().max()),
    }
    for name, value in found.items():
        print(f"{name}: {value:.3g}")
    save(picture(real, particles, fresh), options.output, dpi=120)
    return found


if __name__ == "__main__":
    main()
