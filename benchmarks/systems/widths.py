"""Linearised and finite networks against the infinitely wide one: errors of what IPM teaches them, by width."""

import torch
from matplotlib.figure import Figure

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, LinearizedDiscriminator, NTKDiscriminator
from lightning_gantk.losses import IPM
from lightning_gantk.pictures import style

WIDTHS, SEEDS = (32, 128, 512, 2048), 10


@style.styled
def draw() -> Figure:
    stream = torch.Generator().manual_seed(0)
    real, fake = torch.randn(8, 2, generator=stream) + 1, torch.randn(8, 2, generator=stream) - 1
    x = torch.cat([real, fake])
    infinite = NTKDiscriminator(MLP(1), IPM(), dtype="float64", check_every=0)
    infinite.fit(real, fake)
    wanted = infinite(x)
    makers = {
        "linearised": lambda w: LinearizedDiscriminator(MLP(1), IPM(), width=w),
        "finite, 20 steps": lambda w: FiniteDiscriminator(MLP(1), IPM(), width=w, steps=20),
    }
    found: dict[str, list[float]] = {}
    for name, make in makers.items():
        for width in WIDTHS:
            errors = []
            for seed in range(SEEDS):
                torch.manual_seed(seed)
                discriminator = make(width)
                discriminator.fit(real, fake)
                errors.append(float((discriminator(x).detach() - wanted).norm() / wanted.norm()))
            found.setdefault(name, []).append(sum(errors) / SEEDS)
        print(f"{name:18s}", *(f"{width}: {error:.3f}" for width, error in zip(WIDTHS, found[name], strict=True)))
    drawn = style.figure(2.3)
    ax = drawn.subplots()
    for (name, errors), colour in zip(found.items(), (style.REAL_LINE, style.FAKE_LINE), strict=True):
        ax.loglog(WIDTHS, errors, "o-", color=colour, label=name, markersize=3)
    ax.loglog(WIDTHS, [found["linearised"][0] * (WIDTHS[0] / w) ** 0.5 for w in WIDTHS], "k:", label="width$^{-1/2}$")
    ax.set(xlabel="width", ylabel="relative error to infinite width")
    ax.legend()
    return drawn
