"""Checkpoint files: what is read, what is refused, and in what words."""

import os

import pytest
import torch
from tiny import TinyDiscriminator, tiny_fit

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.checkpoint_files import CheckpointFiles, read
from lightning_gantk.errors import ConfigError

GOOD = {"state_dict": {"a": torch.arange(100_000.0)}, "global_step": 3, "loops": {}}


class Foreign:
    """What loading would have to import."""


def _cut(content):
    return content[: len(content) // 2]


def _bent(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda good: b"", "is empty"),
        (lambda good: b"trainer: {max_steps: 3}\n", "is no checkpoint: torch has not written it"),
        (lambda good: os.urandom(5000), "is no checkpoint: torch has not written it"),
        (_cut, "is damaged or cut short"),
        (_bent, "is damaged or cut short"),
    ],
)
def test_file_that_is_no_checkpoint_is_named_as_what_it_is(content, says, tmp_path):
    path = tmp_path / "last.ckpt"
    CheckpointFiles().save_checkpoint(GOOD, path)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(ConfigError, match=says) as caught:
        read(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({**GOOD, "more": Foreign()}, "could run any code"),
        ({"weight": torch.zeros(2)}, "no checkpoint of a run: it has no 'state_dict'"),
        ([1, 2], "no checkpoint of a run"),
    ],
)
def test_file_of_torch_that_is_no_run_is_refused(value, says, tmp_path):
    torch.save(value, tmp_path / "a.ckpt")
    with pytest.raises(ConfigError, match=says) as caught:
        read(tmp_path / "a.ckpt")
    assert "weights_only" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.ckpt cannot be opened: No such file"):
        read(tmp_path / "a.ckpt")


def test_good_file_reads_as_it_was_written(tmp_path):
    CheckpointFiles().save_checkpoint(GOOD, tmp_path / "a.ckpt")
    found = read(tmp_path / "a.ckpt")
    assert torch.equal(found["state_dict"]["a"], GOOD["state_dict"]["a"])
    assert found["global_step"] == 3


def test_every_run_of_a_gan_writes_its_checkpoints_so(tmp_path):
    """Beside their target: not in the temporary folder, from which a file is copied across file systems."""
    _, trainer = tiny_fit(tmp_path, LastCheckpoint(), discriminator=TinyDiscriminator())
    assert isinstance(trainer.strategy.checkpoint_io, CheckpointFiles)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
