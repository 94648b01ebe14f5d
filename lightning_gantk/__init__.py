"""GANs with finite or infinitely wide (NTK) discriminators, in PyTorch Lightning.

The main classes are here by name and are imported on first use: torch and Lightning take seconds, and JAX is for the
infinite regime alone.
"""

import os
from typing import TYPE_CHECKING

from lightning_gantk.lazy import on_first_use

if TYPE_CHECKING:
    from lightning_gantk.architectures import DCGAN, MLP, ResNet
    from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
    from lightning_gantk.errors import ConfigError, TrainingDiverged
    from lightning_gantk.gan import GAN
    from lightning_gantk.generators import DCGANGenerator, MLPGenerator, Particles
    from lightning_gantk.kernels import RBF
    from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla
    from lightning_gantk.metrics import SampleQuality

__version__ = "0.1.0"

# Read by libgomp, which torch loads on Linux. Its threads wait for more work by 300,000 rounds of a loop, some
# milliseconds, on the cores that JAX wants next. So many fewer still find them there at torch's next operation.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

_HOMES = {
    "DCGAN": "lightning_gantk.architectures",
    "MLP": "lightning_gantk.architectures",
    "ResNet": "lightning_gantk.architectures",
    "FiniteDiscriminator": "lightning_gantk.discriminators",
    "NTKDiscriminator": "lightning_gantk.discriminators",
    "ConfigError": "lightning_gantk.errors",
    "TrainingDiverged": "lightning_gantk.errors",
    "GAN": "lightning_gantk.gan",
    "DCGANGenerator": "lightning_gantk.generators",
    "MLPGenerator": "lightning_gantk.generators",
    "Particles": "lightning_gantk.generators",
    "RBF": "lightning_gantk.kernels",
    "IPM": "lightning_gantk.losses",
    "LSGAN": "lightning_gantk.losses",
    "Hinge": "lightning_gantk.losses",
    "Vanilla": "lightning_gantk.losses",
    "SampleQuality": "lightning_gantk.metrics",
}

__all__ = [
    "DCGAN",
    "GAN",
    "IPM",
    "LSGAN",
    "MLP",
    "RBF",
    "ConfigError",
    "DCGANGenerator",
    "FiniteDiscriminator",
    "Hinge",
    "MLPGenerator",
    "NTKDiscriminator",
    "Particles",
    "ResNet",
    "SampleQuality",
    "TrainingDiverged",
    "Vanilla",
]

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
