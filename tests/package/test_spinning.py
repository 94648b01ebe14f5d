"""How long torch's threads spin is said before torch is loaded, and what was said already stays."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_spinning_is_said_before_torch_is_loaded(given: dict[str, str], expected: str) -> None:
    program = "import os, sys, lightning_gantk; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    free = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    said = subprocess.run([sys.executable, "-c", program], env=free | given, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [expected, "False"]
