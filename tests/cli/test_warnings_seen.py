"""Advice on the terminal: a line, without the place in the code that gave it."""

import subprocess
import sys

_SCRIPT = """
import warnings
from lightning_gantk.errors import Advice
from lightning_gantk.quiet import quieten
quieten()
quieten()
warnings.warn("Three samples tell little.", Advice)
warnings.warn("another library's")
"""


def test_advice_is_a_line_and_other_warnings_are_as_they_were():
    said = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True).stderr
    assert said.splitlines()[0] == "warning: Three samples tell little."
    assert "UserWarning: another library's" in said
