"""What neural-tangents answers in float64 to the problems of ``problems.py``, stored: its kernels take long to compile.

``python tests/oracle`` works the answers out anew; the slow test in ``test_stored_answers.py`` compares.
"""

import functools
from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).parent / "answers"


@functools.cache
def _family(name: str) -> dict[str, np.ndarray]:
    with np.load(ANSWERS / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def stored(family: str, name: str) -> dict[str, np.ndarray]:
    """The stored answers to one problem, by what was asked."""
    found = {key.split("/")[1]: value for key, value in _family(family).items() if key.split("/")[0] == name}
    if not found:
        raise LookupError(f"No answers to {name!r} of {family!r} are stored: run python tests/oracle.")
    return found
