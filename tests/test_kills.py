"""Runs that are killed at random moments go on bit for bit; ``python tests/kills.py`` makes more of them."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("only", ["run-SIGKILL-save", "run-SIGTERM-validation", "rank 1 of 2-SIGKILL"])
def test_killed_run_goes_on_bit_for_bit(only, tmp_path):
    command = [sys.executable, Path(__file__).with_name("kills.py"), "--each=1", f"--only={only}"]
    done = subprocess.run([*command, f"--out={tmp_path / 'kills.json'}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
