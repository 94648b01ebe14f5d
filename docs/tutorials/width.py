"""Finite against infinite.

The same architecture, data and training time: as a network grows wide its scores tend to those of the kernel, by about
one over the root of the width. Run it: `python docs/tutorials/width.py`.
"""

import argparse

import matplotlib.pyplot as plt
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import LSGAN

arguments = argparse.ArgumentParser()
arguments.add_argument("--widths", type=int, nargs="+", default=[16, 64, 256])
arguments.add_argument("--draws", type=int, default=3)
arguments.add_argument("--output", default="width.png")
arguments = arguments.parse_args()

# The kernel's answer, once.
torch.manual_seed(0)
real, fake, x = torch.randn(64, 2) + 1, torch.randn(64, 2), torch.randn(200, 2)
architecture = MLP(hidden_layers=2)
infinite = NTKDiscriminator(architecture, LSGAN(), time=1.0)
infinite.fit(real, fake)
with torch.no_grad():
    truth = infinite(x)

# Networks of each width, drawn anew several times: 100 steps of learning rate 0.01 make the time 1.
errors = []
for width in arguments.widths:
    drawn = []
    for _ in range(arguments.draws):
        finite = FiniteDiscriminator(architecture, LSGAN(), width=width, time=1.0, steps=100)
        finite.fit(real, fake)
        with torch.no_grad():
            drawn.append((finite(x) - truth).norm() / truth.norm())
    errors.append(torch.stack(drawn).mean())
    print(f"width {width}: {errors[-1]:.3f} of the scores")

figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
axes.loglog(arguments.widths, errors, "o-", label="distance from the limit")
slope = errors[0] * (torch.tensor(arguments.widths) / arguments.widths[0]) ** -0.5
axes.loglog(arguments.widths, slope, "--", label="1 / root of the width")
axes.tick_params(axis="x", which="minor", labelbottom=False)
axes.set_xticks(arguments.widths, [str(width) for width in arguments.widths])
axes.set(xlabel="width", ylabel="relative distance of the scores")
axes.legend()
figure.savefig(arguments.output, dpi=80)
#
# ![Distance from the limit by width](images/width.png)
