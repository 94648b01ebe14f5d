"""FID by seconds: entries that exist, a table and pictures of what was measured, a run that keeps to its seconds."""

import json

import pytest

from benchmarks import frontier
from benchmarks.command import CONFIGS

_POINTS = [[2.0, 0, 80.0], [20.0, 100, 30.0], [50.0, 200, 12.0], [61.0, 250, 10.0]]


def test_findings_and_files_exist():
    for finding in frontier.FINDINGS.values():
        assert set(finding.entries) <= frontier.ENTRIES.keys()
    for entry in frontier.ENTRIES.values():
        assert all((CONFIGS / file).is_file() for file in entry.files)
    assert set().union(*(finding.entries for finding in frontier.FINDINGS.values())) == frontier.ENTRIES.keys()


def test_table_has_the_last_fid_before_each_time():
    slower = [[seconds, steps, fid + 2] for seconds, steps, fid in _POINTS]
    *_, row = frontier.table({"moments": [_POINTS, slower]})
    assert row == "| moments | 31.0 | 13.0 |  |  |  | 11.0 (61 s) | 2 | 4.1 |"


def test_pictures_are_drawn_of_what_was_measured(tmp_path):
    results = tmp_path / "results.json"
    names = frontier.FINDINGS["whitening"].entries
    results.write_text(json.dumps({name: [_POINTS] for name in names}))
    places = ["--results", str(results), "--output", str(tmp_path / "page.md"), "--pictures", str(tmp_path)]
    frontier.main(["--only", *places])
    assert [path.name for path in tmp_path.glob("*.png")] == ["whitening.png"]
    assert "| no whitening |" in (tmp_path / "page.md").read_text()


def test_seeds_that_are_there_are_not_run_again(tmp_path, monkeypatch):
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"moments": [_POINTS], "WGAN-GP": [_POINTS] * 3}))
    ran = []
    monkeypatch.setattr(frontier, "_elsewhere", lambda name, seed: ran.append((name, seed)) or [[1.0, 1, float(seed)]])
    found = frontier.measured(["moments", "WGAN-GP"], results, processes=1)
    assert ran == [("moments", 1), ("moments", 2)]
    assert found["moments"] == [_POINTS, [[1.0, 1, 1.0]], [[1.0, 1, 2.0]]] == json.loads(results.read_text())["moments"]


@pytest.mark.slow
def test_run_stops_after_its_seconds_and_keeps_fid(tmp_path, monkeypatch):
    settings = {"model.discriminator.init_args.width": 4, "data.init_args.batch_size": 4, "data.init_args.val_size": 90}
    monkeypatch.setitem(frontier.ENTRIES, "tiny", frontier.Entry(settings=settings, seconds=1e-3))
    points = tmp_path / "points.json"
    frontier.run("tiny", 0, points)
    ((seconds, steps, fid), *others) = json.loads(points.read_text())
    assert seconds > 0
    assert steps == 0
    assert fid > 0
    assert len(others) <= 1
