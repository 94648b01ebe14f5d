"""The figures of a replayed run, from a short one."""

from benchmarks import replay


def test_particles_and_new_samples_come_nearer(tmp_path, capsys):
    found = replay.main(["--steps", "40", "--fresh", "200", "--output", str(tmp_path / "replay.png")])
    start, particles, fresh, error = found.values()
    assert particles < start / 2 and fresh < start / 2
    assert error < 40 * 4 * 1.2e-7 * 3  # a few roundings of numbers up to 3 a step
    assert (tmp_path / "replay.png").stat().st_size > 1000
    assert "squared MMD of the particles" in capsys.readouterr().out
