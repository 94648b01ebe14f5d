"""Mode collapse by coupling.

A wide generator does not move its samples one by one: what one of them feels moves all, by the generator's own kernel.
Eight real points on a circle, sixteen fakes that are coupled by a number g, a finite discriminator that is kept from
step to step and lags behind. Run it: `python docs/tutorials/collapse.py`.
"""

import argparse

import matplotlib.pyplot as plt
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator
from lightning_gantk.generators import CoupledParticles
from lightning_gantk.losses import Vanilla

arguments = argparse.ArgumentParser()
arguments.add_argument("--couplings", type=float, nargs="+", default=[0.0, 0.2, 0.5, 0.9])
arguments.add_argument("--steps", type=int, default=1500)
arguments.add_argument("--output", default="collapse.png")
arguments = arguments.parse_args()

angle = 2 * torch.pi * torch.arange(8) / 8
real = 2 * torch.stack([angle.cos(), angle.sin()], 1)


# Plain gradient descent moves the particles by Gamma times their own gradients, with Gamma 1 on the diagonal and g
# elsewhere: their mean moves at the speed 1 - g + 16 g, each against the mean at 1 - g. Adam would divide by the
# gradients' size and undo that. A mode is found where a particle is within 0.5 of it.
def train(coupling):
    torch.manual_seed(0)
    generator = CoupledParticles(16, (2,), coupling=coupling, noise=0.3, per_particle=True)
    discriminator = FiniteDiscriminator(MLP(2, W_std=1.4), Vanilla(), width=128, steps=1, time=0.3)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.02)
    found = []
    for _ in range(arguments.steps):
        fake = generator(generator.latent(16))
        loss = discriminator.generator_loss(real, fake)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(int((torch.cdist(real, fake.detach()).min(1).values < 0.5).sum()))
    return generator.samples.detach(), torch.tensor(found).float()


# How many modes have a particle, as a mean over the last fifth of the steps: without coupling particles spread over the
# circle; the stronger it is the more the cloud moves as one, and runs after a discriminator that is one step behind.
rows = (len(arguments.couplings) + 1) // 2
figure, panels = plt.subplots(rows, 2, figsize=(4.6, 2.4 * rows), squeeze=False)
for axes, coupling in zip(panels.flat, arguments.couplings, strict=False):
    samples, found = train(coupling)
    late = found[-max(1, len(found) // 5) :].mean()
    print(f"coupling {coupling}: {late:.1f} of 8 modes")
    axes.scatter(*real.T, s=20, facecolors="none", edgecolors="k", lw=0.7)
    axes.scatter(*samples.T, s=8)
    axes.set(title=f"g = {coupling}: {late:.1f} modes", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal")
    axes.set(xticks=[], yticks=[])
figure.tight_layout()
figure.savefig(arguments.output, dpi=80)
#
# ![Real points as circles, fakes as dots, for four couplings](images/collapse.png)
#
# One seed is an example and no claim: `configs/compare/effective_dynamics.yaml` has three seeds of each of twelve
# combinations, and [effective dynamics](../systems/effective_dynamics.md) the theory and the diagram that they make.
