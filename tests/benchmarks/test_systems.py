"""The pictures of docs/systems draw, small."""

import pytest

from benchmarks.systems import noise, ridge, score, stability


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
    assert score.draw().axes
    assert capsys.readouterr().out.count("from the exact one") == 2
