"""Whole comparisons, in processes: interrupted, killed, failing, growing; nothing is lost and nothing counted twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from tiny import write_config

from lightning_gantk import cli
from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan.runs import arguments, runs_of
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.report.logs import Logs
from lightning_gantk.compare.state import Comparison, Phase, read

_HERE = Path(__file__).parents[1]
_STEPS = 600
_PATIENCE = 600  # seconds: every process imports torch and Lightning, on a machine that may be busy

_FLAKY = """
import os, signal
from pathlib import Path
from tiny import TinyData

class Flaky(TinyData):
    def load(self):
        if not Path("begun").exists():
            Path("begun").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in, where processes find the parts of these tests."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "flaky.py").write_text(_FLAKY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), str(_HERE.parent), str(folder)]))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the runs are told: sums come out in the same order
        yield folder
        torch.set_num_threads(threads)


def _specification(name, **keys):
    trainer = {"max_steps": _STEPS, "val_check_interval": 200, "log_every_n_steps": 1, "accelerator": "cpu"}
    write_config(Path("tiny.yaml"), trainer=trainer)
    path = Path(f"{name}.yaml")
    given = {"configs": "tiny.yaml", "set": {"last_checkpoint.every_n_steps": 25}, "threads": 1, **keys}
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


@contextmanager
def _driver(path):
    """A driver in a process of its own; what is still there at the end is ended."""
    command = [sys.executable, "-m", "lightning_gantk.compare", "run", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        for folder in _folders(path):
            if holder := folder.lock.holder():
                os.kill(holder["pid"], signal.SIGTERM)


def _folders(path):
    specification = load(path)
    return [Comparison(specification.folder).run(run.slug) for run in runs_of(specification)]


def _wait(condition, what):
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def _table(path):
    with (load(path).folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def survived(place):
    """A comparison whose driver, and one of whose runs, were killed amid training, and that was then run again."""
    path = _specification("killed", seeds=[0, 1], parallel=2, retries=0)
    folders = _folders(path)
    with _driver(path) as driver:
        _wait(lambda: any(folder.checkpoint.exists() for folder in folders), "a checkpoint")
        second = main(["run", str(path)])  # while the first is at it
        driver.kill()
        driver.wait()
        folders.sort(key=lambda folder: not folder.checkpoint.exists())
        os.kill(folders[0].lock.holder()["pid"], signal.SIGKILL)
        _wait(lambda: folders[0].lock.holder() is None, "the lock of a run that was killed")
        after_kill = read(folders[0])
        codes = second, main(["run", str(path)])
    return path, folders, codes, after_kill


@pytest.mark.slow
def test_second_driver_is_refused(survived):
    _, _, (second, _), _ = survived
    assert second == 2


@pytest.mark.slow
def test_killed_comparison_completes_when_started_again(survived):
    _, folders, (_, code), after_kill = survived
    assert code == 0
    assert after_kill.phase != Phase.FINISHED
    assert [read(folder).phase for folder in folders] == [Phase.FINISHED] * 2
    assert read(folders[0]).attempts == 2
    assert read(folders[1]).attempts == 1  # it outlived its driver, and was waited for, not started anew


@pytest.mark.slow
def test_killed_comparison_loses_nothing_and_counts_nothing_twice(survived):
    path, _, _, _ = survived
    assert [row["state"] for row in _table(path)] == ["finished"] * 2
    for run, folder in zip(runs_of(load(path)), _folders(path), strict=True):
        scalars = Logs(folder.training).refresh().scalars
        assert scalars["train/generator_loss"].steps == list(range(_STEPS))
        assert scalars["val/fid"].steps == [0, 200, 400, 600]
        assert [one.name for one in folder.path.glob("version_*")] == ["version_0"]
        cli.main(["fit", *arguments(run), f"--name=whole{run.seed}", "--trainer.enable_progress_bar=false"])
        expected = Logs(Path("runs") / f"whole{run.seed}" / "version_0").refresh().scalars
        for name in ("train/generator_loss", "val/fid", "val/kid"):
            assert scalars[name].values() == expected[name].values(), name


@pytest.mark.slow
def test_finished_runs_are_not_run_again_and_a_new_seed_runs_alone(survived):
    _, folders, _, _ = survived
    before = [(folder.finished.stat().st_mtime_ns, len(folder.tried())) for folder in folders]
    grown = _specification("killed", seeds=[0, 1, 5], parallel=2, retries=0)
    assert main(["run", str(grown)]) == 0
    assert [(folder.finished.stat().st_mtime_ns, len(folder.tried())) for folder in folders] == before
    assert [row["seed"] for row in _table(grown) if row["state"] == "finished"] == ["0", "1", "5"]


@pytest.mark.slow
def test_status_and_report_read_what_is_there(survived, capsys):
    path, *_ = survived
    assert main(["status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "finished" in said and f"{_STEPS} / {_STEPS}" in said
    assert main(["report", str(path)]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.split()] == ["report.html", "report.md", "results.csv"]


@pytest.mark.slow
def test_failures_are_retried_or_marked_with_their_error(place, capfd):
    runs = {
        "too large": {"data.init_args.batch_size": 43},
        "diverges": {"model.optimizer.init_args.lr": 1e38},
        "flaky": {"data.class_path": "flaky.Flaky", "trainer.max_steps": 5},
    }
    path = _specification("failing", runs=runs, parallel=3, retries=1)
    assert main(["run", str(path)]) == 1
    large, diverged, flaky = (read(folder) for folder in _folders(path))
    assert (large.phase, large.attempts) == (Phase.FAILED, 1)  # a wrong setting is not tried again
    assert "batch_size=43 is larger than the data" in large.error
    assert (diverged.phase, diverged.attempts) == (Phase.DIVERGED, 1)  # nor what would come out the same
    assert "Training diverged in generator step" in diverged.error
    assert (flaky.phase, flaky.attempts) == (Phase.FINISHED, 2)
    assert "killed by SIGKILL" in capfd.readouterr().out
    assert [row["state"] for row in _table(path)] == ["failed", "diverged", "finished"]
    page = (load(path).folder / "report.html").read_text()
    assert "Not counted below: 2 of 3 runs" in page and "batch_size=43 is larger than the data" in page


@pytest.mark.slow
def test_metric_that_nobody_logs_ends_the_comparison_after_the_first_run(place, capfd):
    path = _specification("misspelt", seeds=[0, 1, 2], metrics={"val/fidd": "min"}, retries=1)
    assert main(["run", str(path), "--parallel", "1"]) == 2
    assert [read(folder).attempts for folder in _folders(path)] == [1, 0, 0]
    last = capfd.readouterr().err.splitlines()[-1]
    assert "the comparison waits for 'val/fidd', which nobody logs" in last and "did you mean val/fid" in last
    assert "no other run was started" in last


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_driver_that_is_told_to_stop_stops_its_runs_in_good_order(place, number):
    path = _specification(f"stopped{number:d}", set={"trainer.max_steps": 1_000_000})
    (folder,) = _folders(path)
    with _driver(path) as driver:
        _wait(lambda: folder.training.exists() and Logs(folder.training).refresh().step() > 20, "a run")
        driver.send_signal(number)
        said, _ = driver.communicate(timeout=_PATIENCE)
    assert driver.returncode == 128 + number, said
    assert said.endswith("the same command goes on.\n") and "Traceback" not in said
    assert folder.lock.holder() is None
    assert read(folder).phase == Phase.STOPPED
    saved = torch.load(folder.checkpoint, weights_only=True)
    assert saved["global_step"] == Logs(folder.training).refresh().step() + 1  # saved when told, not at an interval
