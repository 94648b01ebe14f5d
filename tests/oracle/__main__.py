"""``python tests/oracle [family ...]`` works out what neural-tangents answers, and stores it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it

import numpy as np

from oracle import ANSWERS
from oracle.problems import FAMILIES

for family in sys.argv[1:] or FAMILIES:
    answers = {
        f"{name}/{asked}": value
        for name, problem in FAMILIES[family].items()
        for asked, value in problem.answers().items()
    }
    np.savez_compressed(ANSWERS / f"{family}.npz", **answers)
    print(f"{family}: {len(FAMILIES[family])} problems, {(ANSWERS / f'{family}.npz').stat().st_size} bytes")
