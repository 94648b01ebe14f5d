"""Contracts for parts of your own: pytest classes that prove a part by a class of a few lines; see docs/contracts.md.

Names are imported on first use: the contract of a generator needs no JAX.
"""

from typing import TYPE_CHECKING

from lightning_gantk.errors import ConfigError
from lightning_gantk.lazy import on_first_use

try:
    import pytest  # noqa: F401
except ImportError as error:
    raise ConfigError(
        f"The contracts of lightning_gantk.testing are pytest classes, and pytest does not import ({error}). Install "
        "it (pip install 'lightning-gantk[testing]', or pip install pytest)."
    ) from error

if TYPE_CHECKING:
    from lightning_gantk.testing.activation import ActivationContract
    from lightning_gantk.testing.architecture import ArchitectureContract
    from lightning_gantk.testing.data import DataModuleContract
    from lightning_gantk.testing.discriminator import DiscriminatorContract
    from lightning_gantk.testing.generator import GeneratorContract
    from lightning_gantk.testing.kernel import KernelContract
    from lightning_gantk.testing.layer import LayerContract
    from lightning_gantk.testing.loss import LossContract
    from lightning_gantk.testing.metric import MetricContract

__all__ = [
    "ActivationContract",
    "ArchitectureContract",
    "DataModuleContract",
    "DiscriminatorContract",
    "GeneratorContract",
    "KernelContract",
    "LayerContract",
    "LossContract",
    "MetricContract",
]

_HOMES = {
    "ActivationContract": "lightning_gantk.testing.activation",
    "ArchitectureContract": "lightning_gantk.testing.architecture",
    "DataModuleContract": "lightning_gantk.testing.data",
    "DiscriminatorContract": "lightning_gantk.testing.discriminator",
    "GeneratorContract": "lightning_gantk.testing.generator",
    "KernelContract": "lightning_gantk.testing.kernel",
    "LayerContract": "lightning_gantk.testing.layer",
    "LossContract": "lightning_gantk.testing.loss",
    "MetricContract": "lightning_gantk.testing.metric",
}

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
