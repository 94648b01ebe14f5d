"""``train.py fit`` from within a benchmark, silently."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_gantk.cli import GANCommand
from lightning_gantk.cli import main as train
from lightning_gantk.errors import TrainingDiverged

CONFIGS = Path(__file__).parent.parent / "configs"


def fit(files: Sequence[str], settings: Mapping[str, Any]) -> GANCommand:
    """Trains.

    Args:
        files: Of ``configs``.
        settings: Of the command line, ``{"trainer.max_steps": 3000}``.

    Raises:
        TrainingDiverged: If it did.
        RuntimeError: If the command line refused anything, or could not go on; with what it said.
    """
    words = [f"--config={CONFIGS / file}" for file in files] + [f"--{name}={value}" for name, value in settings.items()]
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            return train(["fit", *words])
    except SystemExit as stop:
        diverged = isinstance(stop.__context__, TrainingDiverged)  # a full disk leaves with the same code
        raise (TrainingDiverged if diverged else RuntimeError)(told.getvalue()) from stop
