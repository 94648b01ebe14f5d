"""A kernel's point of view.

Scores of two discriminators over the plane, and what each fake feels: minus the gradient of the generator's loss at the
fake. Run it: `python docs/tutorials/point_of_view.py`.
"""

import argparse

import matplotlib.pyplot as plt
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import LSGAN

arguments = argparse.ArgumentParser()
arguments.add_argument("--side", type=int, default=60)
arguments.add_argument("--output", default="point_of_view.png")
arguments = arguments.parse_args()

# Reals on a circle, fakes in a bunch.
torch.manual_seed(0)
angle = 2 * torch.pi * torch.rand(64)
real = torch.stack([angle.cos(), angle.sin()], 1)
fake = 0.2 * torch.randn(32, 2)

# Two kernels: a ReLU network's reaches far, an RBF's as far as its bell.
line = torch.linspace(-1.8, 1.8, arguments.side)
grid = torch.cartesian_prod(line, line)
figure, rows = plt.subplots(1, 2, figsize=(8, 4))
for axes, (name, kernel) in zip(rows, {"ReLU network": MLP(2), "RBF": RBF(gamma=8.0)}.items(), strict=True):
    discriminator = NTKDiscriminator(kernel, LSGAN(), time=10.0)
    discriminator.fit(real, fake)
    with torch.no_grad():
        scores = discriminator(grid).view(len(line), -1)
    x = fake.clone().requires_grad_()
    discriminator.loss.generator(discriminator(x)).backward()
    force = -x.grad / x.grad.norm(dim=1).max()
    axes.contourf(line, line, scores.T, levels=21, cmap="RdBu_r")
    axes.scatter(*real.T, s=6, color="k")
    axes.quiver(*fake.T, *force.T, scale=8, width=4e-3)
    axes.set(title=name, aspect="equal")

figure.savefig(arguments.output, dpi=80)

# The spectrum of the Gram matrix says how fast each direction is learnt: an eigenvalue l at the rate 4 l / N where both
# sets have N / 2 samples. A network's kernel has most of it in one direction, near the constant function.
for name, kernel in {"ReLU network": MLP(2), "RBF": RBF(gamma=8.0)}.items():
    values = torch.linalg.eigvalsh(NTKDiscriminator(kernel, LSGAN()).gram(torch.cat([fake, real]))).flip(0)
    half = int((values.cumsum(0) < values.sum() / 2).sum()) + 1
    print(f"{name}: largest eigenvalue {values[0]:.1f}; half of the trace is in the first {half}")
#
# ![Scores, and forces on the fakes](images/point_of_view.png)
