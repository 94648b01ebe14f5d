"""The benchmark command runs, in its quick mode."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.steps import share


def test_quick_mode_prints_rows(tmp_path, capsys):
    path = tmp_path / "rows.json"
    found = main(["--quick", "--rows", "ipm", "lsgan-weights", "--json", str(path)])
    assert len(found) == len(json.loads(path.read_text())) == 5
    assert "| IPM scores + gradient" in capsys.readouterr().out


@pytest.mark.slow
def test_training_steps_on_points_are_shared_out():
    found = share("ipm_inf", 24)
    assert 0 < found.discriminator < found.whole
    assert 0 < found.part < 1
    assert found.by_hand > 0
