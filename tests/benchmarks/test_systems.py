"""The pictures of docs/systems draw, small."""

import shutil

import pytest

from benchmarks.systems import critics, noise, ridge, score, stability


def test_the_stability_map_agrees_with_the_threshold(monkeypatch, capsys):
    monkeypatch.setattr(stability, "STEPS", 250)
    drawn = stability.draw()
    assert drawn.axes
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "threshold" in line)
    assert float(line.split()[-1]) > 0.8  # the slowest of the map need more steps


def test_noise_draws(monkeypatch, capsys):
    pytest.importorskip("jax")
    monkeypatch.setattr(noise, "STEPS", 20)
    assert noise.draw().axes
    assert capsys.readouterr().out.count("of 20 fakes away") == 3


@pytest.mark.slow
def test_fakes_of_a_saddle_never_raise_its_value(monkeypatch, capsys):
    pytest.importorskip("jax")
    monkeypatch.setattr(ridge, "STEPS", 10)
    assert ridge.draw().axes
    lines = capsys.readouterr().out.splitlines()
    (saddle,) = (line for line in lines if "saddle" in line)
    assert float(saddle.split()[-1]) < 0
    assert [line.split()[-1] for line in lines[:2]] == ["0.606531", "0.303265"]  # docs/systems/ridge.md


def test_the_score_draws(monkeypatch, capsys):
    monkeypatch.setattr(score, "SEEDS", 2)
    monkeypatch.setattr(score, "STEPS", 2)
    assert score.draw().axes
    assert capsys.readouterr().out.count("from the exact one") == 3  # of two numbers of samples, and learnt


def test_critics_get_the_same_seconds(monkeypatch, capsys, tmp_path):
    pytest.importorskip("jax")
    for name in ("polyharmonic", "score"):
        shutil.copytree(critics.CONFIGS / "systems" / name, tmp_path / "systems" / name)
    monkeypatch.setattr(critics, "CONFIGS", tmp_path)
    monkeypatch.setattr(critics, "SECONDS", 0.02)
    (curves, *_) = critics.draw().axes
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| polyharmonic", "| score"))]
    assert len(rows) == 2 and all(int(row.split("|")[3]) > 1 for row in rows)
    for line in curves.lines[:2]:
        assert len(line.get_ydata()) == critics.LOOKS + 1 and line.get_ydata()[-1] < line.get_ydata()[0]
