"""A configuration that came with a checkpoint calls no code that nobody asked for."""

import sys

import pytest
import yaml
from refusals import refused
from tiny import write_config

from lightning_gantk import trust, yaml_files
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


@pytest.mark.parametrize("inner", ["{class_path: NAME}", "NAME", "[NAME]", "loss: below.yaml"])
def test_files_that_files_name_are_looked_into_where_they_lie(inner, evil, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part.yaml").write_text(inner.replace("NAME", evil))
    (tmp_path / "sub" / "below.yaml").write_text(evil)
    with pytest.raises(ConfigError, match="evil_part"):
        trust.refuse_foreign({"discriminator": "sub/part.yaml"}, "a.yaml", folder=tmp_path)


def test_text_too_long_to_be_looked_through_is_refused_and_a_picture_is_not(tmp_path):
    (tmp_path / "long.yaml").write_text("# " + "x" * 2**20)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n" + bytes(2**21))
    trust.refuse_foreign({"path": "picture.png"}, "a.yaml", folder=tmp_path)
    with pytest.raises(ConfigError, match=r"long\.yaml, a text too long"):
        trust.refuse_foreign({"path": "long.yaml"}, "a.yaml", folder=tmp_path)


def test_names_may_be_of_any_letters(tmp_path, monkeypatch):
    (tmp_path / "évil_part.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"évil_part\.Loss"):
        trust.refuse_foreign({"loss": "évil_part.Loss"}, "a.yaml")


@pytest.mark.parametrize(
    "name", ["lightning_gantk.files.os.abort", "lightning_gantk.files.json.loads", "torch.nn.functional.torch"]
)
def test_what_is_reached_through_a_part_is_no_part(name):
    with pytest.raises(ConfigError, match="code outside"):
        trust.refuse_foreign({"h": name}, "a.yaml")


def test_settings_are_not_fetched(tmp_path, monkeypatch, capsys):
    """fsspec, which Lightning has jsonargparse use, opens ``memory:`` and many other addresses, https among them."""
    fsspec = pytest.importorskip("fsspec")  # Lightning's own
    fsspec.filesystem("memory").pipe("/part.yaml", b"class_path: tiny.TinyDiscriminator")
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path / "tiny.yaml")
    line = refused(["fit", f"--config={config}", "--model.discriminator=memory://part.yaml"], capsys)
    assert "memory://part.yaml" in line


def test_addresses_of_files_are_looked_into(evil, tmp_path):
    (tmp_path / "part.yaml").write_text(evil)
    with pytest.raises(ConfigError, match="evil_part"):
        trust.refuse_foreign({"discriminator": (tmp_path / "part.yaml").as_uri()}, "a.yaml")


def test_settings_without_an_end_are_refused(tmp_path):
    (tmp_path / "round.yaml").write_text("model: &a {generator: *a}")
    with pytest.raises(ConfigError, match="holds itself"):
        trust.refuse_foreign_file(tmp_path / "round.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        yaml_files.read(tmp_path / "round.yaml", "config")
    (tmp_path / "round.yaml").write_text("data: 2024-13-45")
    with pytest.raises(ConfigError, match="cannot be read"):
        yaml_files.read(tmp_path / "round.yaml", "config")


def test_parts_of_this_package_and_its_libraries_pass_and_so_do_file_names():
    settings = {**OWN, "lr": "torch.optim.Adam", "s": "lightning.pytorch.cli.ReduceLROnPlateau"}
    settings |= {"data": "datamodules.MNISTDataModule", "loss": "lightning_gantk.IPM", "c": "torch.nn.BCELoss"}
    settings |= {"root": "data/density_a.png", "url": "https://raw.example.org/a.png"}
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
