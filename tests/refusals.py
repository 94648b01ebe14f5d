"""A command that is refused."""

import pytest

from lightning_gantk.cli import main


def refused(args, capsys, code=2):
    """Runs a command that fails, and gives the one line that it says."""
    with pytest.raises(SystemExit) as stopped:
        main([str(arg) for arg in args])
    said = capsys.readouterr()
    assert stopped.value.code == code
    assert said.err.startswith("gantk: ")
    assert said.err.count("\n") == 1
    return said.err
