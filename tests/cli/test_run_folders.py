"""Folders of runs: each for one run, each written by one process."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from refusals import refused
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.checkpoint_files import read
from lightning_gantk.cli import main
from lightning_gantk.runs import RunLogger, discard_unused, logger


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    loggers = [RunLogger(tmp_path, "name") for _ in range(40)]
    with ThreadPoolExecutor(8) as threads:
        versions = list(threads.map(lambda one: one.version, loggers))
    assert sorted(versions) == list(range(40))
    assert all(one.claimed for one in loggers)
    assert [one.version for one in loggers] == versions  # asked again


def test_claimed_folder_of_a_refused_run_goes_again(tmp_path):
    one = RunLogger(tmp_path, "name")
    discard_unused(one.log_dir)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("checkpoint", "same_course", "same_folder"),
    [("last.ckpt", True, True), ("last.ckpt", False, False), ("best-step3.ckpt", True, False)],
)
def test_resumed_run_stays_in_its_folder_if_it_is_the_same_run(checkpoint, same_course, same_folder, tmp_path):
    folder = tmp_path / "name" / "version_3"
    (folder / "checkpoints").mkdir(parents=True)
    found = logger(tmp_path, "name", str(folder / "checkpoints" / checkpoint), step=3, same_course=same_course)
    assert (found.log_dir == str(folder)) == same_folder


def test_second_process_on_a_run_is_refused_and_told_who_has_it(config, hold, capsys):
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "2"])
    capsys.readouterr()
    holder = hold(Path("runs/tiny/version_0/lock"))
    line = refused(["fit", "--ckpt_path", "last", "--trainer.max_steps", "4"], capsys)
    assert f"runs/tiny/version_0 is being written by process {holder.pid} on " in line
    assert read("runs/tiny/version_0/checkpoints/last.ckpt")["global_step"] == 2
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "1"])  # a new run goes elsewhere
    assert read("runs/tiny/version_1/checkpoints/last.ckpt")["global_step"] == 1


def test_what_a_killed_process_left_half_written_is_swept_out(config):
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "2"])
    half = Path("runs/tiny/version_0/checkpoints/.last.ckpt.host.1.part")
    half.write_bytes(b"half")
    main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "3"])
    assert not half.exists()


def test_tensorboard_has_every_point_once_after_a_resume(config, monkeypatch):
    # Files of one second are read in the order of their names, which have a count of all files of the process.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    main(["fit", "--config", "tiny.yaml", "--name", "whole"])
    for steps in ("3", "5", "6", "6"):  # at a validation, between two, to the end, with nothing left to do
        again = ["--ckpt_path", "last"] if Path("runs/tiny").exists() else []
        main(["fit", "--config", "tiny.yaml", *again, "--trainer.max_steps", steps])
    whole, resumed = (EventAccumulator(f"runs/{name}/version_0").Reload() for name in ("whole", "tiny"))
    for tag in whole.Tags()["scalars"]:
        if not tag.startswith("time/"):
            points, expected = ([(e.step, e.value) for e in log.Scalars(tag)] for log in (resumed, whole))
            if tag.startswith("val/"):
                points = [point for point in points if point[0] != 5]  # the end of a part, which is validated
            assert points == expected, tag
    steps, expected = ([event.step for event in log.Images("samples")] for log in (resumed, whole))
    assert len(steps) == len(set(steps))
    assert set(expected) <= set(steps)  # and those at the end of each part


# A process of its own has a limit on the size of its files, as if the disk were full.
_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from lightning_gantk import cli, gan
def limit(self, *args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
gan.GAN.on_train_start = limit
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_full_disk_ends_a_run_in_one_line_and_leaves_nothing_half_written(config):
    command = [sys.executable, "-c", _FULL, "fit", "--config", "tiny.yaml", "--trainer.logger", "false"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "last.ckpt cannot be written or read (File too large): allow larger files" in done.stderr
    assert not list(Path("runs").rglob("*.ckpt")) + list(Path("runs").rglob("*.part"))


def test_folder_that_cannot_be_made_is_named_in_one_line(config, capsys):
    Path("file").write_text("")
    line = refused(["fit", "--config", "tiny.yaml", "--trainer.default_root_dir", "file"], capsys)
    assert "trainer.default_root_dir=file cannot be a folder: file is a file" in line


def test_folder_that_vanishes_is_made_again(config, monkeypatch):
    save = LastCheckpoint.save

    def vanish(self, trainer):
        shutil.rmtree("runs")
        save(self, trainer)

    monkeypatch.setattr(LastCheckpoint, "save", vanish)
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "1", "--trainer.val_check_interval", "100"])
    assert read("runs/tiny/version_0/checkpoints/last.ckpt")["global_step"] == 1
