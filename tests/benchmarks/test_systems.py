"""The pictures of docs/systems draw, small."""

import pytest

from benchmarks.systems import noise, stability


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
