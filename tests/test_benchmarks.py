"""The benchmark command runs, in its quick mode."""

import json

from benchmarks.__main__ import main


def test_quick_mode_prints_rows(tmp_path, capsys):
    path = tmp_path / "rows.json"
    found = main(["--quick", "--rows", "ipm", "lsgan-weights", "--json", str(path)])
    assert len(found) == len(json.loads(path.read_text())) == 4
    assert "| IPM scores + gradient" in capsys.readouterr().out
