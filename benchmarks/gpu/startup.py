"""One step of ``train.py`` in a new process: with nothing compiled before, and after a process that was the same."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.command import CONFIGS
from benchmarks.gpu import device
from benchmarks.gpu.options import Options
from benchmarks.gpu.training import TINY
from benchmarks.rows import Row
from benchmarks.timing import seconds

_TRAIN = CONFIGS.parent / "train.py"


def rows(options: Options) -> Iterator[Row]:
    """The same process twice, with one cache."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "trainer.max_steps": 1,
            "trainer.limit_val_batches": 0,
            "trainer.default_root_dir": str(Path(folder, "runs")),
            **device.of_trainer(),
            **(TINY if options.tiny else {}),
        }
        words = [f"--config={CONFIGS / 'quickstart.yaml'}", *(f"--{name}={value}" for name, value in settings.items())]
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder, "cache"))}
        for what in ("nothing compiled before", "after an earlier process"):
            taken = seconds(
                lambda: subprocess.run(
                    [sys.executable, str(_TRAIN), "fit", *words], capture_output=True, check=True, env=environment
                )
            )
            yield Row(f"train.py, one step of the quickstart, {what}", "", f"{taken:.1f} s", "", "whole process")
