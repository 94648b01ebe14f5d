"""A tiny configuration in a folder of its own, which the tests of the command line share."""

import pytest
from tiny import write_config

from lightning_gantk import trust


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_KNOWN", (*trust._KNOWN, "tiny."))  # test_trust.py has what it is without
    return write_config(tmp_path / "tiny.yaml")
