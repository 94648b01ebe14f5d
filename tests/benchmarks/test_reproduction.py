"""The command that makes the paper's table: runs what is missing, keeps results, puts the table in its place."""

import json

import pytest

from benchmarks import reproduction


@pytest.fixture
def runs(monkeypatch):
    """Runs that take no time; the names of those that were asked for."""
    asked = []

    def run(regime, architecture, seed, steps, folder, accelerator):
        asked.append(f"{regime}/{architecture}/seed{seed}/steps{steps}")
        if regime == "lsgan_finite":
            return {"diverged": True, "seconds": 2.0}
        return {"sinkhorn": 0.012 + 0.002 * seed, "modes_covered": 8.0, "diverged": False, "seconds": 3.0}

    monkeypatch.setattr(reproduction, "run", run)
    return asked


def test_broken_off_command_goes_on_where_it_was(runs, tmp_path):
    output = tmp_path / "table.md"
    reproduction.main(["--seeds", "1", "--cells", "ipm_inf/relu", "--output", str(output)])
    reproduction.main(["--seeds", "2", "--cells", "ipm_inf/relu", "lsgan_inf/rbf", "--output", str(output)])
    cells = ("ipm_inf/relu/seed0", "lsgan_inf/rbf/seed0", "ipm_inf/relu/seed1", "lsgan_inf/rbf/seed1")
    assert runs == [f"{cell}/steps3000" for cell in cells]
    assert sorted(json.loads((tmp_path / "table.json").read_text())) == sorted(runs)


def test_table_takes_its_place_and_leaves_the_text(runs, tmp_path):
    output = tmp_path / "table.md"
    output.write_text("# Before\n\n<!-- table: benchmarks.reproduction -->\nold\n<!-- end of table -->\n\nafter\n")
    command = ["--seeds", "2", "--finite-steps", "1000", "--output", str(output)]
    reproduction.main([*command, "--cells", "ipm_inf/relu", "lsgan_finite/relu"])
    text = output.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| IPM, infinite | 3,000 | 1.3e-2 ± 1e-3 (1e-6) | - (2.6e-2) |" in text
    assert "| LSGAN, finite | 1,000 | -, 2 of 2 diverged (> 3) | - |" in text
    assert "4 runs on " in text
    assert ": 1 infinite cell of 2 seeds, 1 finite cell of 2 seeds." in text


def test_runs_of_the_papers_length_have_a_table_of_their_own(runs, tmp_path):
    output = tmp_path / "table.md"
    cells = ["--seeds", "1", "--cells", "ipm_inf/relu", "--output", str(output)]
    reproduction.main(cells)
    reproduction.main(["--steps", "50000", "--finite-steps", "50000", *cells])
    short, long = output.read_text().split("<!-- table: benchmarks.reproduction --steps 50000 -->")
    assert "| IPM, infinite | 3,000 | 1.2e-2 (1e-6) |" in short
    assert "| IPM, infinite | 50,000 | 1.2e-2 (1e-6) |" in long


def test_unknown_cell_is_refused_with_those_allowed(capsys):
    with pytest.raises(SystemExit):
        reproduction.main(["--cells", "ipm/relu"])
    assert "unknown cells ipm/relu; allowed are ipm_inf/relu" in capsys.readouterr().err


def test_every_known_figure_belongs_to_a_cell():
    assert set(reproduction.KNOWN) <= set(reproduction.CELLS)


@pytest.mark.slow
def test_cell_is_a_run_of_the_command_line(tmp_path):
    found = reproduction.run("ipm_inf", "sigmoid_eta1e7", 0, 2, tmp_path, "cpu")
    assert found["sinkhorn"] > 0
    assert found["seconds"] > 0
    assert not found["diverged"]


@pytest.mark.slow
def test_run_that_was_broken_off_goes_on_from_its_checkpoint(tmp_path):
    reproduction.run("ipm_finite", "relu", 0, 2, tmp_path / "broken off", "cpu")
    found = reproduction.run("ipm_finite", "relu", 0, 3, tmp_path / "broken off", "cpu")
    whole = reproduction.run("ipm_finite", "relu", 0, 3, tmp_path / "whole", "cpu")
    assert "seconds" not in found
    assert found["sinkhorn"] == whole["sinkhorn"]


def test_commands_side_by_side_keep_what_the_other_found(runs, tmp_path, monkeypatch):
    output, run = tmp_path / "table.md", reproduction.run

    def beside(*arguments):
        if arguments[0] == "ipm_inf":
            reproduction.main(["--seeds", "1", "--cells", "lsgan_inf/rbf", "--output", str(output)])
        return run(*arguments)

    monkeypatch.setattr(reproduction, "run", beside)
    reproduction.main(["--seeds", "1", "--cells", "ipm_inf/relu", "--output", str(output)])
    kept = json.loads((tmp_path / "table.json").read_text())
    assert sorted(kept) == ["ipm_inf/relu/seed0/steps3000", "lsgan_inf/rbf/seed0/steps3000"]
    assert not (tmp_path / "table.runs").exists()
