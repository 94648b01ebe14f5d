"""A first GAN.

A generator learns eight Gaussians in the plane against a discriminator of infinite width. Run it:
`python docs/tutorials/first_gan.py`; with `--steps 20` it only shows that it works.
"""

import argparse

import matplotlib.pyplot as plt
import torch

from datamodules import PointsDataModule
from datamodules.targets import GaussianRing
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import MLPGenerator
from lightning_gantk.losses import IPM

arguments = argparse.ArgumentParser()
arguments.add_argument("--steps", type=int, default=600)
arguments.add_argument("--output", default="first_gan.png")
arguments = arguments.parse_args()

# The parts. `data` gives real samples; the generator makes fakes from latents; the discriminator is described by its
# architecture, of which the kernel is taken.
torch.manual_seed(0)
real = PointsDataModule(GaussianRing(modes=8, radius=2.0, std=0.1, dim=2), num_samples=None, batch_size=256)
real.setup("fit")
batches = iter(real.train_dataloader())  # it ends never: fresh points at each step
generator = MLPGenerator((2,), latent_dim=16, hidden=(128, 128))
discriminator = NTKDiscriminator(MLP(hidden_layers=3), IPM(), time=1.0)
optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))

# One step, as `GAN` takes it: fit to a batch, score the fakes, move the generator along the gradient.
for _ in range(arguments.steps):
    batch = next(batches)
    fake = generator(generator.latent(len(batch)))
    discriminator.fit(batch, fake.detach())
    loss = discriminator.loss.generator(discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# What it has learnt, in the picture: real samples grey, fakes blue. After 600 steps fakes lie about the ring and are on
# the way to its modes.
with torch.no_grad():
    samples = generator(generator.latent(512))
figure, axes = plt.subplots(figsize=(4, 4))
axes.scatter(*batch.T, s=4, color="0.7")
axes.scatter(*samples.T, s=4)
axes.set_aspect("equal")
figure.savefig(arguments.output, dpi=80)
#
# ![Real samples and fakes](images/first_gan.png)
