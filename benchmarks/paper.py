"""Runs of ``train.py`` on 8 Gaussians, by the files of configs/paper."""

from collections.abc import Mapping
from typing import Any

from benchmarks import command
from lightning_gantk.cli import GANCommand

REGIMES = {
    "ipm_inf": "IPM, infinite",
    "ipm_finite": "IPM, finite",
    "ipm_finite_reset": "IPM, finite, reset",
    "lsgan_inf": "LSGAN, infinite",
    "lsgan_finite": "LSGAN, finite",
}
ARCHITECTURES = {"relu": "ReLU", "rbf": "RBF", "relu_no_bias": "ReLU, no bias", "sigmoid": "sigmoid"}


def is_infinite(regime: str) -> bool:
    """Whether the discriminator is infinitely wide."""
    return regime.endswith("_inf")


def fit(regime: str, architecture: str, settings: Mapping[str, Any]) -> GANCommand:
    """Trains, silently.

    Args:
        regime: One of ``REGIMES``.
        architecture: One of ``ARCHITECTURES``.
        settings: Of the command line, ``{"trainer.max_steps": 3000}``.

    Raises:
        TrainingDiverged: If it did.
        RuntimeError: If the command line refused anything; with what it said.
    """
    if architecture == "rbf" and not is_infinite(regime):
        architecture = "rbf_finite"
    files = [f"points/{regime}.yaml", f"architecture/{architecture}.yaml", "data/8gaussians.yaml"]
    return command.fit([f"paper/{file}" for file in files], settings)
