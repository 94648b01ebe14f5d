"""The installed command: what it answers without torch, and that it knows what the parser of a run knows."""

import signal
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny import TinyData, write_config

import lightning_gantk
from lightning_gantk import config_files
from lightning_gantk.cli import GANCommand
from lightning_gantk.cli_partial import ParsedCommand
from lightning_gantk.command import keys, signatures
from lightning_gantk.command.main import main
from lightning_gantk.errors import ConfigError
from lightning_gantk.pictures import latents

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_keys_are_those_of_the_parser(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parsed = ParsedCommand([command, "--config", str(write_config(tmp_path / "tiny.yaml"))])
    theirs = [key.split(".") for key in parsed.parser_of(command).get_defaults().keys(branches=True)]
    ours = keys.known_keys(command)
    assert {key[0] for key in theirs} <= set(ours)
    assert set(ours) - {key[0] for key in theirs} <= {"config"}
    for group, known in ours.items():
        if known is not None:
            assert {key[1] for key in theirs if key[0] == group and len(key) > 1} <= known


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["fit", "--config", "quickstart", "--trainer.max_stps", "3"], ["fti"]]
)
def test_answer_that_needs_no_torch_imports_none(words):
    code = (
        "import sys\nfrom lightning_gantk.command.main import main\n"
        f"try:\n    main({words})\nexcept SystemExit as left:\n    assert left.code == 2\n"
        "assert not {'torch', 'lightning', 'jax', 'jsonargparse', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_main_classes_are_there_by_name_and_import_nothing_before():
    code = (
        "import sys, lightning_gantk as l\nassert not {'torch', 'jax'} & set(sys.modules)\n"
        "l.NTKDiscriminator, l.FiniteDiscriminator, l.MLPGenerator\n"
        "slow = {'lightning', 'torchvision', 'torchmetrics', 'scipy.optimize', 'scipy.special', 'scipy.integrate'}\n"
        "assert not {*slow, 'jax'} & set(sys.modules), slow & set(sys.modules)\n"
        "assert [getattr(l, name) for name in l.__all__ if name != 'RBF']\nassert 'jax' not in sys.modules\nl.RBF"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(lightning_gantk.__all__) == set(lightning_gantk._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'GANN'"):
        _ = lightning_gantk.GANN


def test_installed_program_gives_no_exit_code_of_its_own(monkeypatch):
    entry = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["scripts"]["gantk"]
    module, _, name = entry.partition(":")
    program = import_module(module)
    monkeypatch.setattr(program, "_run", lambda words: object())  # as a run gives what it made
    assert getattr(program, name)() is None


def test_version_is_said(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"gantk {lightning_gantk.__version__}\n"


# Ctrl-C during start


def test_ctrl_c_before_anything_is_imported_ends_in_one_line(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "checked", interrupted)
    with pytest.raises(SystemExit) as left:
        main(["fit", "--config", "quickstart"])
    assert left.value.code == 130
    assert capsys.readouterr() == ("", "gantk: stopped by Ctrl-C.\n")


def test_ctrl_c_amid_an_import_ends_at_once_in_one_line(monkeypatch, capsys):
    def end(code):
        raise SystemExit(code)

    def importing(words):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:  # what some modules make of it
            raise ImportError("numpy failed to import") from error

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr("os._exit", end)
        monkeypatch.setattr("lightning_gantk.cli.main", importing)
        with pytest.raises(SystemExit) as left:
            main(["fit", "--config", "quickstart"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.value.code == 130
    assert capsys.readouterr() == ("", "gantk: stopped by Ctrl-C; nothing had begun.\n")


def test_ctrl_c_while_a_run_is_made_ends_in_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(command):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(GANCommand, "instantiate_classes", interrupted)
    with pytest.raises(SystemExit) as left:
        main(["fit", "--config", str(write_config(tmp_path / "tiny.yaml"))])
    assert left.value.code == 130
    assert capsys.readouterr().err == "gantk: stopped by Ctrl-C.\n"
    assert not (tmp_path / "runs").exists()


# Configurations


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "configs/quickstart.yaml", "discriminator/ntk_ipm"])
def test_shipped_config_is_found_by_its_short_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_files.find(name).is_file()


def test_file_of_the_users_own_comes_before_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text("name: mine")
    assert config_files.find("quickstart") == Path("quickstart")


def test_folder_instead_of_a_config_is_told_with_its_own_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("systems/monoflow", "configs/systems/monoflow/"):
        with pytest.raises(ConfigError, match=r"mean systems/monoflow/8gaussians or systems/monoflow/digits[?]$"):
            config_files.find(name)
    with pytest.raises(ConfigError, match="did you mean quickstart"):
        config_files.find("quikstart")


def test_signature_is_that_of_the_class():
    assert signatures.parameters("lightning_gantk.discriminators.NTKDiscriminator") >= {"kernel", "loss", "inertia"}
    assert signatures.parameters("lightning_gantk.architectures.DCGAN") is None  # takes any, for a base class
    assert signatures.parameters("no.such.Class") is None


# pictures


def test_pictures_neighbours_draws_samples_and_the_nearest_training_samples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["fit", "--config", str(write_config(tmp_path / "tiny.yaml"))])
    shown = []
    draw = latents.grid
    monkeypatch.setattr(latents, "grid", lambda images, **told: shown.append(images) or draw(images, **told))
    checkpoint = f"--checkpoint={tmp_path / 'runs/tiny/version_0/checkpoints/last.ckpt'}"
    main(["pictures", "neighbours", checkpoint, "--count=3", "--output=near.png", "--dpi=40", "--trust=true"])
    with Image.open("near.png") as picture:
        assert min(picture.size) > 20
    fake, nearest = shown[0].chunk(2)
    assert fake.shape == (3, 1, 8, 8)
    reals = TinyData((1, 8, 8)).load()[0]
    distances = torch.cdist(fake.flatten(1), reals.flatten(1))
    torch.testing.assert_close(nearest, reals[distances.argmin(1)], rtol=0, atol=0)
    with pytest.raises(SystemExit):
        main(["pictures", "neighbours", "--checkpoint=none.ckpt"])
    assert "there is no checkpoint none.ckpt" in capsys.readouterr().err


# init


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stream = np.random.default_rng(0)
    Path("mine").mkdir()
    for number in range(30):
        Image.fromarray(stream.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(f"mine/{number}.png")
    return Path("mine")


def test_init_writes_a_configuration_that_parses_for_what_is_there(pictures, capsys):
    main(["init", "mine"])
    assert capsys.readouterr().out.endswith("gantk fit --config mine.yaml\n")
    settings = yaml.safe_load(Path("mine.yaml").read_text())
    assert settings["model"]["generator"]["init_args"]["out_shape"] == [3, 32, 32]
    assert settings["data"]["init_args"]["batch_size"] <= 27
    keys.checked(["fit", "--config", "mine.yaml"])
    assert ParsedCommand(["fit", "--config", "mine.yaml"]).config.fit.data.init_args.root == "mine"
    with pytest.raises(SystemExit):
        main(["init", "mine"])
    assert "mine.yaml is there already" in capsys.readouterr().err


def test_init_knows_grey_pictures_and_large_ones(pictures):
    for path in pictures.iterdir():
        Image.open(path).convert("L").resize((80, 90)).save(path)
    main(["init", "mine", "--output", "grey.yaml"])
    settings = yaml.safe_load(Path("grey.yaml").read_text())
    assert settings["model"]["generator"]["init_args"]["out_shape"] == [1, 64, 64]
    assert settings["data"]["init_args"]["channels"] == 1


@pytest.mark.slow
def test_init_and_fit_lead_to_a_grid(pictures):
    main(["init", "mine"])
    few = ["--trainer.max_steps=2", "--model.generator.init_args.channels=2", "--data.init_args.batch_size=4"]
    main(["fit", "--config", "mine.yaml", *few, "--trainer.enable_progress_bar=false"])
    assert sorted(Path("runs/mine/version_0/samples").glob("*.png"))


# doctor


def test_doctor_says_what_is_there(capsys):
    assert not main(["doctor", "--quick"])
    said = capsys.readouterr().out
    for about in ("versions", "threads", "torch devices", "JAX devices", "meet on cpu", "neural-tangents", "disk"):
        assert about in said
    assert "with no copy" in said


def test_doctor_names_the_line_that_mends(monkeypatch, capsys):
    from lightning_gantk.kernels import neural_tangents

    def missing():
        raise ConfigError("not installed")

    monkeypatch.setattr(neural_tangents, "load", missing)
    main(["doctor", "--quick"])
    assert f"-> {neural_tangents.INSTALLATION}" in capsys.readouterr().out
