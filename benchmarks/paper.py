"""Runs of ``train.py`` on 8 Gaussians, by the files of configs/paper."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_gantk.cli import GANCommand
from lightning_gantk.cli import main as train
from lightning_gantk.errors import TrainingDiverged

_FOLDER = Path(__file__).parent.parent / "configs" / "paper"
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
    side = "inf" if is_infinite(regime) else "finite"
    files = [f"points/{regime}.yaml", f"{side}/{architecture}.yaml", "data/8gaussians.yaml"]
    words = [f"--config={_FOLDER / file}" for file in files] + [f"--{name}={value}" for name, value in settings.items()]
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            return train(["fit", *words])
    except SystemExit as stop:
        raise (TrainingDiverged if stop.code == 1 else RuntimeError)(told.getvalue()) from stop
