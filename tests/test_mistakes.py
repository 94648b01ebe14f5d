"""Mistakes end in one clear line; ``python tests/mistakes.py`` shows them all."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("subset", [["--quick"], pytest.param([], marks=pytest.mark.slow)], ids=["quick", "all"])
def test_mistakes_end_in_one_line(subset):
    script = Path(__file__).with_name("mistakes.py")
    done = subprocess.run([sys.executable, script, *subset], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
