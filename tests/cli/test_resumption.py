"""A run that goes on with other settings: named, followed where that can be, else refused."""

from pathlib import Path

import pytest
import torch
from tiny import write_config

from lightning_gantk import trust
from lightning_gantk.cli import main

FINITE = [
    "--model.discriminator=lightning_gantk.discriminators.FiniteDiscriminator",
    "--model.discriminator.init_args.architecture=lightning_gantk.architectures.MLP",
    "--model.discriminator.init_args.loss=lightning_gantk.losses.LSGAN",
    "--model.discriminator.init_args.width=4",
]


@pytest.fixture
def begun(tmp_path, monkeypatch, capsys):
    """A run of 4 steps, and a function that goes on from it with other words: what it said, and its command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_KNOWN", (*trust._KNOWN, "tiny."))
    write_config(tmp_path / "tiny.yaml")
    scheduler = ["--model.scheduler=ExponentialLR", "--model.scheduler.init_args.gamma=0.5"]
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "4", *scheduler])
    capsys.readouterr()

    def go_on(*words):
        command = main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "6", *words])
        return capsys.readouterr().out, command

    return go_on


def _folders():
    return sorted(path.name for path in Path("runs/tiny").iterdir())


def test_longer_run_stays_in_its_folder_and_says_so(begun):
    said, _ = begun()
    assert "trainer.max_steps: 4 -> 6" in said
    assert _folders() == ["version_0"]


def test_other_learning_rate_counts_and_the_schedule_goes_on(begun):
    said, command = begun("--model.optimizer.init_args.lr=0.1")
    assert "model.optimizer.init_args.lr: 0.001 -> 0.1" in said
    (group,) = command.trainer.optimizers[0].param_groups
    assert group["lr"] == pytest.approx(0.1 * 0.5**6)  # six steps of the schedule, four of them before
    assert command.trainer.optimizers[0].state_dict()["state"][0]["step"] == 6  # Adam's moments went on
    assert _folders() == ["version_0", "version_1"]  # the records of the first stay true


def test_other_optimizer_starts_anew(begun):
    said, command = begun("--model.optimizer=torch.optim.SGD", "--model.optimizer.init_args.lr=0.1")
    assert "model.optimizer: Adam -> SGD" in said
    assert isinstance(command.trainer.optimizers[0], torch.optim.SGD)
    assert command.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**6)


def test_other_schedule_starts_at_its_beginning(begun):
    _, command = begun("--model.scheduler.init_args.gamma=0.1")
    assert command.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3 * 0.1**2)


def test_other_discriminator_takes_over_and_the_generator_goes_on(begun):
    said, command = begun(*FINITE)
    assert "model.discriminator: TinyDiscriminator -> FiniteDiscriminator" in said
    assert "The discriminator starts anew" in said
    assert type(command.model.discriminator).__name__ == "FiniteDiscriminator"
    assert command.trainer.global_step == 6
    assert command.trainer.optimizers[0].state_dict()["state"][0]["step"] == 6
    saved = torch.load("runs/tiny/version_1/checkpoints/last.ckpt", weights_only=True)
    assert any(name.startswith("discriminator.network") for name in saved["state_dict"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model.generator.init_args.channels=3"], "model.generator.init_args.channels: 2 -> 3"),
        (["--seed_everything=5"], "seed_everything: 0 -> 5"),
        (["--model.ema_decay=0.9"], "model.ema_decay: None -> 0.9"),
    ],
)
def test_what_cannot_change_is_refused_by_name(words, says, begun, capsys):
    with pytest.raises(SystemExit) as stopped:
        begun(*words)
    line = capsys.readouterr().err
    assert stopped.value.code == 2
    assert says in line and line.count("\n") == 1
    assert _folders() == ["version_0"]


def test_settings_that_change_nothing_of_the_course_are_not_told(begun):
    said, _ = begun("--trainer.log_every_n_steps=3", "--sample_grid.every_n_steps=2", "--trainer.max_steps=4")
    assert "other settings" not in said
