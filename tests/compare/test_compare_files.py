"""The state of a run that is read from its files."""

import os
import socket
import sys
import time

import pytest

from lightning_gantk import files
from lightning_gantk.compare import state
from lightning_gantk.compare.run import job as job_module
from lightning_gantk.compare.run.job import RunJob, _error
from lightning_gantk.compare.state import Comparison, Phase, RunFolder


def _attempt(folder, **record):
    began = {"began": time.time() - 500, "host": "elsewhere", "pid": 1}
    files.write_json(folder.attempts / f"{time.time_ns()}-1.json", {**began, **record})


def test_state_of_a_run_follows_from_its_files(tmp_path, hold):
    holder = hold(tmp_path / "run" / "lock")
    folder = RunFolder(tmp_path / "run")
    assert state.read(folder).phase == Phase.RUNNING
    holder.kill()
    holder.wait()
    assert state.read(folder).phase == Phase.WAITING
    _attempt(folder)
    assert state.read(folder).phase == Phase.STOPPED  # killed: no end was written
    _attempt(folder, ended=time.time(), outcome="failed", error="why", code=1)
    assert (state.read(folder).phase, state.read(folder).error) == (Phase.FAILED, "why")
    _attempt(folder, ended=time.time(), outcome="diverged", error="NaN", code=3)
    assert state.read(folder).phase == Phase.DIVERGED
    files.write_json(folder.finished, {})
    found = state.read(folder)
    assert (found.phase, found.attempts) == (Phase.FINISHED, 3)
    assert found.seconds == pytest.approx(1000, abs=5)


def test_run_whose_job_has_just_begun_is_queued(tmp_path):
    folder = RunFolder(tmp_path)
    _attempt(folder, began=time.time(), host=socket.gethostname(), pid=os.getpid())
    assert state.read(folder).phase == Phase.QUEUED


def test_run_keeps_its_folder_when_its_name_changes(tmp_path):
    comparison = Comparison(tmp_path)
    (tmp_path / "runs" / "old-seed0-abc").mkdir(parents=True)
    assert comparison.run("new-seed0-abc").path.name == "old-seed0-abc"
    assert comparison.run("new-seed0-def").path.name == "new-seed0-def"
    assert comparison.others(["new-seed0-def"]) == 1 and comparison.others(["new-seed0-abc"]) == 0


@pytest.mark.parametrize(
    ("code", "log", "says"),
    [
        (1, "Traceback:\n  File x\nValueError: what\n\n", "ValueError: what"),
        (2, "starting\ngantk: there is no key\n", "there is no key"),
        (-9, "step 3\n", "killed by SIGKILL (out of memory?), after: step 3"),
        (-11, "", "killed by SIGSEGV"),
        (5, "", "left with exit code 5 and said nothing"),
    ],
)
def test_error_is_the_last_clear_line(tmp_path, code, log, says):
    path = tmp_path / "log.txt"
    path.write_text("before: an older attempt\n" + log)
    assert _error(code, path, len("before: an older attempt\n")) == says


def test_job_that_takes_too_long_is_stopped_and_has_failed(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(sys, "executable", "/bin/sleep")  # sleep refuses its arguments: it fails at once
    job = RunJob(tmp_path / "run", {"PATH": None}, timeout=60)
    assert job() == "failed"
    monkeypatch.setattr(job_module, "_poll", lambda process, seconds: None if seconds == 0.5 else process.wait())
    job.timeout = 0.5
    assert job() == "failed"
    tried = RunFolder(tmp_path / "run").tried()
    assert [attempt["outcome"] for attempt in tried] == ["failed", "failed"]
    assert "sleep" in tried[0]["error"]
    assert tried[1]["error"].startswith("took longer than")
