"""A configuration that came with a checkpoint calls no code that nobody asked for."""

import sys

import pytest
import yaml
from tiny import write_config

from lightning_gantk import trust
from lightning_gantk.cli import main
from lightning_gantk.errors import ConfigError

OWN = {"model": {"class_path": "lightning_gantk.generators.MLPGenerator", "init_args": {"out_shape": [2]}}}


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that must not be imported."""
    (tmp_path / "evil_part.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield "evil_part.Discriminator"
    assert "evil_part" not in sys.modules


@pytest.mark.parametrize(
    "hide",
    [
        lambda name: {"class_path": name},
        lambda name: [{"init_args": {"lr_lambda": name}}],
        lambda name: f"{{class_path: {name}}}",
        lambda name: {name: 1},
    ],
)
def test_other_code_is_refused_wherever_it_is_named(hide, evil):
    with pytest.raises(ConfigError, match=r"names evil_part\.Discriminator: code outside"):
        trust.refuse_foreign({**OWN, "more": hide(evil)}, "a.yaml")


@pytest.mark.parametrize("name", ["os.system", "torch.hub.load", "torch.load", "subprocess.run"])
def test_code_of_libraries_that_is_no_part_of_a_run_is_refused(name):
    with pytest.raises(ConfigError, match="code outside"):
        trust.refuse_foreign({"a": name}, "a.yaml")


def test_file_that_a_setting_names_is_looked_into(evil, tmp_path):
    (tmp_path / "part.txt").write_text(yaml.safe_dump({"class_path": evil}))
    with pytest.raises(ConfigError, match="evil_part"):
        trust.refuse_foreign({"discriminator": "part.txt"}, "a.yaml", folder=tmp_path)


def test_parts_of_this_package_and_its_libraries_pass_and_so_do_file_names():
    settings = {**OWN, "lr": "torch.optim.Adam", "root": "data/density_a.png", "url": "https://raw.example.org/a.png"}
    trust.refuse_foreign(settings, "a.yaml")


def test_what_the_user_names_is_trusted(evil):
    trust.refuse_foreign({"a": evil}, "a.yaml", asked_for={"b": {"class_path": evil}})


@pytest.mark.parametrize("command", ["fit", "validate", "predict"])
def test_checkpoint_alone_runs_no_code_of_others(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["fit", "--config", str(write_config(tmp_path / "tiny.yaml")), "--trainer.max_steps", "2"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([command, "--ckpt_path", "last"])
    line = capsys.readouterr().err
    assert "names tiny.TinyData, tiny.TinyDiscriminator, tiny.TinyQuality" in line
    assert line.count("\n") == 1
    main([command, "--config", "runs/tiny/version_0/config.yaml", "--ckpt_path", "last"])
