"""Files that are whole or not there, and locks that die with their holders."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from lightning_gantk import files
from lightning_gantk.locks import Lock

_WRITE = """
import sys
from pathlib import Path
from lightning_gantk.files import replaced
for letter in b"ab" * 100_000:
    with replaced(Path(sys.argv[1])) as file:
        file.write(bytes([letter]) * 3_000_000)
"""


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


def test_lock_is_refused_while_another_process_has_it_and_free_when_that_is_killed(tmp_path, hold):
    holder = hold(tmp_path / "run" / "lock")
    lock = Lock(tmp_path / "run" / "lock")
    assert not lock.acquire()
    assert lock.holder()["pid"] == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.holder() is None  # although the file still names it
    assert json.loads(lock.path.read_text())["pid"] == holder.pid
    assert lock.acquire()
    assert Lock(lock.path).holder()["pid"] == os.getpid()
    lock.release()
    assert Lock(lock.path).holder() is None


def test_file_is_whole_whenever_its_writer_is_killed(tmp_path, monkeypatch):
    """The temporary folder may be on another file system: nothing goes through it."""
    monkeypatch.setenv("TMPDIR", "/dev/shm" if os.path.isdir("/dev/shm") else str(tmp_path))
    path, seen = tmp_path / "file", set()
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", _WRITE, path])
        while not list(tmp_path.glob(".file.*.part")):  # it is writing
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if path.exists():
            content = path.read_bytes()
            assert content in (b"a" * 3_000_000, b"b" * 3_000_000)
            seen.add(content[:1])
        files.sweep(tmp_path)
        assert set(tmp_path.iterdir()) <= {path}


def test_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # what a full disk is like
        with pytest.raises(OSError, match="file") as caught:
            files.write_text(path, "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writer_that_fails_leaves_the_old_file(tmp_path):
    files.write_text(tmp_path / "file", "old")
    with pytest.raises(TypeError), files.replaced(tmp_path / "file") as file:
        file.writelines([b"new", 3])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
