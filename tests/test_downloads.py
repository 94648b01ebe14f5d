"""Downloads: whole, checked, and no larger than was said."""

import hashlib
import io
import sys
import urllib.request
from types import SimpleNamespace

import pytest

from lightning_gantk.downloads import fetch, fetch_from_drive


@pytest.fixture
def served(tmp_path):
    path = tmp_path / "served"
    path.write_bytes(b"x" * 1000)
    return path


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_fetch_checks_the_sum_or_the_start_of_it(algorithm, served, tmp_path):
    digest = hashlib.new(algorithm, b"x" * 1000).hexdigest()
    for known in (digest, digest[:8].upper()):
        fetch(served.as_uri(), tmp_path / "new" / "file", largest=1000, checksum=f"{algorithm}:{known}")
    assert (tmp_path / "new" / "file").read_bytes() == served.read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [({"largest": 999}, "more than 999 bytes"), ({"largest": 10**6, "checksum": "sha256:00"}, "and 00 was expected")],
)
def test_fetch_refuses_another_file_and_leaves_none(options, says, served, tmp_path):
    with pytest.raises(OSError, match=says):
        fetch(served.as_uri(), tmp_path / "file", **options)
    assert list(tmp_path.iterdir()) == [served]


def test_download_that_breaks_off_leaves_no_file(tmp_path, monkeypatch):
    class Answer(io.BytesIO):
        def __init__(self, content):
            super().__init__(content)
            self.headers = {"Content-Length": "1000"}

        def geturl(self):
            return "https://example.org/file"

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(b"x" * 10))
    with pytest.raises(OSError, match="broke off after 10 of 1,000 bytes"):
        fetch("https://example.org/file", tmp_path / "file", largest=10**6)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def drive(monkeypatch):
    """A Google Drive that sends a thousand bytes a time, as gdown passes them on, and counts them."""
    sent = []

    def download(*, id, output, quiet):
        for _ in range(5):
            output.write(b"x" * 1000)
            sent.append(1000)

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))
    return sent


def test_a_file_on_a_drive_is_checked_as_it_comes(drive, tmp_path):
    whole = hashlib.md5(b"x" * 5000).hexdigest()
    fetch_from_drive("key", tmp_path / "new" / "file", largest=5000, checksum=f"md5:{whole}")
    assert (tmp_path / "new" / "file").read_bytes() == b"x" * 5000


@pytest.mark.parametrize(
    ("largest", "says", "bytes_sent"), [(2500, "file has more than 2,500", 2000), (5000, "md5 sum", 5000)]
)
def test_another_file_on_a_drive_stops_and_leaves_none(largest, says, bytes_sent, drive, tmp_path):
    with pytest.raises(OSError, match=says):
        fetch_from_drive("key", tmp_path / "file", largest=largest, checksum="md5:00")
    assert sum(drive) == bytes_sent and not list(tmp_path.iterdir())
