"""Critics of one batch side by side: 8 Gaussians against N(0, 1)."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure

from datamodules.targets import GaussianRing
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import Discriminator, NTKDiscriminator
from lightning_gantk.kernels import RBF, FourierPoisson, Polyharmonic
from lightning_gantk.losses import IPM
from lightning_gantk.pictures import style

SIDE, REACH = 61, 8.0


def _critics() -> dict[str, Callable[[], Discriminator]]:
    def infinite(kernel, **options) -> Discriminator:
        return NTKDiscriminator(kernel, IPM(), dtype="float64", check_every=0, **options)

    return {
        "k = 1 (energy)": lambda: infinite(Polyharmonic(1.0)),
        "k = 0 (logarithm)": lambda: infinite(Polyharmonic(0.0, softening=0.1)),
        "Fourier series": lambda: infinite(FourierPoisson(period=24.0, terms=8)),
        "RBF": lambda: infinite(RBF(gamma=0.5)),
        "NTK": lambda: infinite(MLP(3)),
        "WGAN-GP, infinite": lambda: infinite(RBF(gamma=0.5), solution="ridge", ridge=0.1, gradient_penalty=1.0),
    }


@style.styled
def draw() -> Figure:
    stream = torch.Generator().manual_seed(0)
    real = GaussianRing().sample(256, stream).double()
    fake = torch.randn(256, 2, generator=stream).double()
    axis = torch.linspace(-REACH, REACH, SIDE, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    drawn = style.figure(3.6, width=5.0)
    for ax, (name, make) in zip(drawn.subplots(2, 3).flat, _critics().items(), strict=True):
        critic = make()
        critic.fit(real, fake)
        with torch.no_grad():
            field = critic(grid).view(SIDE, SIDE).T.numpy()
        field = field - np.median(field)  # a constant drives nobody
        at = fake.clone().requires_grad_()
        slopes = torch.autograd.grad(critic(at).sum(), at)[0].norm(dim=1)
        print(f"{name:20s} |grad f| at the fakes: mean {slopes.mean():.3g}, smallest {slopes.min():.2g}", flush=True)
        scale = style.around_zero(field)
        ax.imshow(field, extent=(-REACH, REACH) * 2, origin="lower", cmap=style.SCORES, norm=scale)
        ax.plot(*real[::4].T, ".", color="black", markersize=0.8)
        ax.set(title=name, xticks=[], yticks=[])
    return drawn
