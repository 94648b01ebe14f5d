"""What is stored is what neural-tangents answers today."""

import numpy as np
import pytest

from oracle import ANSWERS, stored
from oracle.problems import FAMILIES

_PROBLEMS = [(family, name) for family, problems in FAMILIES.items() for name in problems]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), _PROBLEMS)
def test_stored_answers_are_those_of_neural_tangents(family, name):
    problem, kept = FAMILIES[family][name], stored(family, name)
    fresh = problem.answers()
    assert fresh.keys() == kept.keys()
    for asked, value in fresh.items():
        assert np.linalg.norm(value - kept[asked]) <= problem.rounding * np.linalg.norm(kept[asked])


@pytest.mark.parametrize("family", FAMILIES)
def test_stored_answers_are_those_to_the_problems(family):
    with np.load(ANSWERS / f"{family}.npz", allow_pickle=False) as file:
        assert {key.split("/")[0] for key in file} == FAMILIES[family].keys()
