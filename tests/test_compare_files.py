"""Files that processes share, and the state of a run that is read from them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from lightning_gantk.compare import files, state
from lightning_gantk.compare.job import RunJob, _error
from lightning_gantk.compare.state import Comparison, Phase, RunFolder

_HOLD = """
import sys, time
from pathlib import Path
from lightning_gantk.compare.files import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds the lock of a run."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path / "run" / "lock"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "file.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 2}
    assert list(path.parent.iterdir()) == [path]


def test_file_that_is_missing_or_broken_reads_as_none(tmp_path):
    assert files.read_json(tmp_path / "missing") is None
    (tmp_path / "half").write_text('{"a": ')
    assert files.read_json(tmp_path / "half") is None


def test_lock_is_refused_while_another_process_has_it_and_free_when_that_is_killed(tmp_path, holder):
    lock = files.Lock(tmp_path / "run" / "lock")
    assert not lock.acquire()
    assert lock.holder()["pid"] == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.holder() is None  # although the file still names it
    assert json.loads(lock.path.read_text())["pid"] == holder.pid
    assert lock.acquire()
    assert files.Lock(lock.path).holder()["pid"] == os.getpid()
    lock.release()
    assert files.Lock(lock.path).holder() is None


def _attempt(folder, **record):
    began = {"began": time.time() - 500, "host": "elsewhere", "pid": 1}
    files.write_json(folder.attempts / f"{time.time_ns()}-1.json", {**began, **record})


def test_state_of_a_run_follows_from_its_files(tmp_path, holder):
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
        (2, "starting\ntrain.py: there is no key\n", "there is no key"),
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
    monkeypatch.setattr(RunJob, "_poll", lambda self, seconds: None if seconds == 0.5 else self._process.wait())
    job.timeout = 0.5
    assert job() == "failed"
    tried = RunFolder(tmp_path / "run").tried()
    assert [attempt["outcome"] for attempt in tried] == ["failed", "failed"]
    assert "sleep" in tried[0]["error"]
    assert tried[1]["error"].startswith("took longer than")
