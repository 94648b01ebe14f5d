"""On a GPU, on several, and on a cluster.

The script stays the same; what changes is what the Trainer is told. Run it: `python docs/tutorials/cluster.py` takes
the GPU if there is one, and `--devices 2` takes two of them, or two processes on a CPU, for the very same steps.
"""

import argparse
from pathlib import Path

from lightning.pytorch import Trainer, seed_everything

from datamodules import PointsDataModule
from datamodules.targets import GaussianRing
from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import MLPGenerator
from lightning_gantk.losses import LSGAN

arguments = argparse.ArgumentParser()
arguments.add_argument("--devices", type=int, default=1)
arguments.add_argument("--steps", type=int, default=20)
arguments = arguments.parse_args()

# A batch of 256 points altogether: each process has its share of it, and the discriminator is fitted to the shares of
# all. A loss that needs the Gram matrix, as LSGAN does, has each process work out its part of that.
seed_everything(0)
data = PointsDataModule(
    GaussianRing(modes=8, radius=2.0, std=0.1), batch_size=256 // arguments.devices, num_samples=1024
)
gan = GAN(MLPGenerator((2,), latent_dim=16, hidden=(64, 64)), NTKDiscriminator(MLP(2), LSGAN(), time=1.0))

# On a GPU the kernel runs where the samples are: nothing crosses to the host. JAX needs its CUDA build there (README,
# Install), and `gantk doctor` says whether it has it.
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
several = {"strategy": "ddp"} if arguments.devices > 1 else {}
trainer = Trainer(max_steps=arguments.steps, accelerator="auto", devices=arguments.devices, **several, **quiet)
trainer.fit(gan, data)

# One process and two agree to rounding: on a CPU both print a loss of 0.070496 after 20 steps.
if trainer.is_global_zero:
    loss = trainer.callback_metrics["train/generator_loss"].item()
    print(f"{trainer.world_size} on {trainer.strategy.root_device}: loss {loss:.6f} after {trainer.global_step} steps")

# On a cluster the command line does the same, and saves, stops and goes on by itself: SLURM's signal, three minutes
# before the time is over, makes `last.ckpt`, and the job that is submitted again begins there. There is a task for each
# GPU:
JOB = [
    "#!/bin/bash",
    "#SBATCH --nodes=2",
    "#SBATCH --ntasks-per-node=4",
    "#SBATCH --gpus-per-node=4",
    "#SBATCH --cpus-per-task=8",
    "#SBATCH --time=12:00:00",
    "#SBATCH --signal=TERM@180",
    'resume=""',
    '[ -f runs/celeba/version_0/checkpoints/last.ckpt ] && resume="--ckpt_path last"',
    "srun gantk fit --config celeba --trainer.num_nodes 2 --trainer.devices 4 --trainer.strategy ddp $resume",
]
if trainer.is_global_zero:
    Path("celeba.sh").write_text("\n".join(JOB) + "\n")
#
# A whole comparison goes to a cluster by the section `slurm:` of its specification ([comparing](../compare.md)). What
# is shared out between processes, and what is not, stands in [several processes](../distributed.md).
