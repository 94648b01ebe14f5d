"""Fakes beyond the kernel's reach, with and without noise injection (Arbel et al., 2019)."""

import torch
from matplotlib.figure import Figure

from lightning_gantk.discriminators import Discriminator, NoiseInjected, NTKDiscriminator
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM
from lightning_gantk.pictures import style

STEPS, STEP = 4000, 0.5


@style.styled
def draw() -> Figure:
    stream = torch.Generator().manual_seed(0)
    real, start = 0.3 * torch.randn(20, 1, generator=stream), 6 + 0.3 * torch.randn(20, 1, generator=stream)

    def infinite() -> NTKDiscriminator:
        return NTKDiscriminator(RBF(gamma=0.5), IPM(), check_every=0)

    makers: dict[str, Discriminator] = {
        "without noise": infinite(),
        "beta = 3": NoiseInjected(infinite(), 3.0, decay=0.5, every=800),
        "beta = 5": NoiseInjected(infinite(), 5.0, decay=0.5, every=800),
    }
    drawn = style.figure(2.2)
    ax = drawn.subplots()
    for name, discriminator in makers.items():
        torch.manual_seed(1)
        x, curve = start.clone(), []
        for step in range(STEPS):
            at = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator.generator_loss(real, at), at)
            if step % 20 == 0:
                with torch.no_grad():
                    mmd2 = float(discriminator(at).mean() - discriminator(real).mean())
                curve.append(max(mmd2, 1e-6))
            x = x - STEP * len(x) * gradient
        away = int((x.abs() > 3).sum())
        print(f"{name:14s} MMD^2 {curve[0]:.3f} at the start, {curve[-1]:.4f} at the end; {away} of 20 fakes away")
        ax.semilogy(range(0, STEPS, 20), curve, label=name)
    ax.set(xlabel="step", ylabel="MMD$^2$")
    ax.legend()
    return drawn
