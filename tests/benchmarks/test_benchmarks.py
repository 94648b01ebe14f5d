"""The benchmark command runs, in its quick mode."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.first_step import starts
from benchmarks.rows import Row
from benchmarks.steps import share


@pytest.mark.slow
def test_quick_mode_prints_rows(tmp_path, capsys):
    path = tmp_path / "rows.json"
    found = main(["--quick", "--rows", "ipm", "lsgan-weights", "--json", str(path)])
    assert len(found) == len(json.loads(path.read_text())) == 5
    assert "| IPM scores + gradient" in capsys.readouterr().out


@pytest.mark.slow
def test_first_steps_are_those_of_processes_that_find_programs_again(monkeypatch):
    monkeypatch.setattr("benchmarks.first_step._CASES", (("MLP", "LSGAN"),))
    ((work, cold, warm),) = starts(16, 1)
    assert work == "MLP, LSGAN, n=m=16"
    assert warm.imports > 0
    assert 0 < warm.first < cold.first  # compilers and JAX have nothing left to do


def test_the_table_takes_its_place_in_a_page_and_is_whole(tmp_path, monkeypatch, capsys):
    page = tmp_path / "speed.md"
    page.write_text("before\n<!-- table: benchmarks -->\nold\n<!-- end of table -->\nafter\n")
    rows = [Row("work", "", "1 ms", "")]
    monkeypatch.setattr("benchmarks.__main__._jobs", lambda quick: {"one": [lambda: iter(rows)]})
    main(["--table", str(page)])
    before, *table, after = page.read_text().splitlines()
    assert (before, after) == ("before", "after")
    assert "old" not in table
    assert "| work |  | 1 ms |  |  |" in table
    with pytest.raises(SystemExit):
        main(["--table", str(page), "--rows", "one"])
    assert "leave one out" in capsys.readouterr().err


@pytest.mark.slow
def test_training_steps_on_points_are_shared_out():
    found = share("ipm_inf", 24)
    assert 0 < found.discriminator < found.whole
    assert 0 < found.part < 1
    assert found.by_hand > 0
