"""Kernels and their dynamics, in JAX alone. A kernel of your own derives from ``Kernel``."""

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.base import Kernel

try:
    import jax  # noqa: F401
except ImportError as error:
    raise ConfigError(
        f"Infinite-width discriminators need JAX, which does not import ({error}). Install it (pip install jax), "
        "or choose a finite discriminator."
    ) from error

import lightning_gantk.kernels.architecture  # noqa: F401 - registers itself with architectures
from lightning_gantk.kernels.energy import EnergyDistance
from lightning_gantk.kernels.features import FeatureKernel
from lightning_gantk.kernels.fourier_poisson import FourierPoisson
from lightning_gantk.kernels.inverse_multiquadric import InverseMultiquadric
from lightning_gantk.kernels.laplace import Laplace
from lightning_gantk.kernels.polyharmonic import Polyharmonic
from lightning_gantk.kernels.rbf import RBF
from lightning_gantk.kernels.transformed import TransformedKernel

__all__ = [
    "RBF",
    "EnergyDistance",
    "FeatureKernel",
    "FourierPoisson",
    "InverseMultiquadric",
    "Kernel",
    "Laplace",
    "Polyharmonic",
    "TransformedKernel",
]
