"""The paper's experiments: every combination of data, regime and architecture runs, with the paper's settings."""

import inspect
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny import TinyData

import datamodules
from lightning_gantk.architectures import MLP
from lightning_gantk.cli import main
from lightning_gantk.cli_partial import ParsedCommand
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError

_PAPER = Path(__file__).parents[2] / "configs" / "paper"
_POINTS, _IMAGES = ("8gaussians", "density", "ab"), ("mnist", "celeba", "photographs")
_REGIMES = ("ipm_inf", "ipm_finite", "ipm_finite_reset", "lsgan_inf", "lsgan_finite")
_ARCHITECTURES = ("rbf", "relu", "relu_no_bias", "sigmoid", "relu_b4")
_ALL = [(data, regime, one) for data in (*_POINTS, *_IMAGES) for regime in _REGIMES for one in _ARCHITECTURES]
# Every file at least once.
_SOME = [
    ("8gaussians", "ipm_inf", "relu"),
    ("8gaussians", "ipm_finite_reset", "relu_b4"),
    ("density", "ipm_finite", "rbf"),
    ("density", "lsgan_inf", "relu_no_bias"),
    ("ab", "lsgan_finite", "sigmoid"),
    ("mnist", "ipm_inf", "sigmoid"),
    ("mnist", "ipm_finite_reset", "relu_no_bias"),
    ("mnist", "lsgan_finite", "relu"),
    ("celeba", "lsgan_inf", "relu_b4"),
    ("celeba", "ipm_finite", "relu"),
    ("celeba", "ipm_inf", "rbf"),
    ("photographs", "ipm_inf", "relu"),
]


class Faces(TinyData):
    """In the place of CelebA: noise."""

    def __init__(self, root: str, image_size: int, batch_size: int, subset_size: int, val_size: int) -> None:
        super().__init__((3, image_size, image_size), subset_size, batch_size)


def _files(data, regime, architecture):
    kind = "images" if data in _IMAGES else "points"
    if architecture in ("rbf", "relu_b4") and not regime.endswith("_inf"):
        architecture += "_finite"
    names = f"{kind}/{regime}", f"architecture/{architecture}", f"data/{data}"
    return [_PAPER / f"{name}.yaml" for name in names]


def _configs(*cell):
    return [f"--config={path}" for path in _files(*cell)]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A working directory with noise where the data would be; no download."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datamodules, "CelebADataModule", Faces, raising=False)
    noise = np.random.default_rng(0)
    pictures = tmp_path / "data" / "geomloss"
    pictures.mkdir(parents=True)
    for name in ("density_a.png", "density_b.png", "A.png", "B.png"):
        Image.fromarray(noise.integers(0, 256, (9, 9), dtype=np.uint8)).save(pictures / name)
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 20), ("t10k", 20)):
        pixels = noise.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + bytes(count))


def _run_two_steps(cell):
    small = ["--model.generator.init_args.n=6", "--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
    # Of 6 particles each moves 100 times as far as of 500.
    small += ["--model.optimizer.init_args.lr=1"]
    small += ["--trainer.enable_checkpointing=false", "--trainer.logger=false", "--trainer.accelerator=cpu"]
    if cell[0] in _IMAGES:
        samples = "num_samples" if cell[0] == "photographs" else "subset_size"
        small += [f"--data.init_args.{name}=6" for name in ("batch_size", samples, "val_size")]
    else:
        small += ["--data.init_args.num_samples=6"]
    cli = main(["fit", *_configs(*cell), *small])
    assert cli.trainer.global_step == 2
    assert cli.trainer.callback_metrics["train/generator_loss"].isfinite()
    assert cli.model.generator.samples.isfinite().all()
    infinite = cell[1].endswith("_inf")
    assert isinstance(cli.model.discriminator, NTKDiscriminator if infinite else FiniteDiscriminator)


@pytest.mark.parametrize("cell", _SOME, ids="-".join)
def test_experiment_runs_two_steps(cell, data):
    _run_two_steps(cell)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cell for cell in _ALL if cell not in _SOME], ids="-".join)
def test_every_other_experiment_runs_two_steps(cell, data):
    _run_two_steps(cell)


def test_every_file_is_part_of_an_experiment():
    assert {path for cell in _ALL for path in _files(*cell)} == set(_PAPER.rglob("*.yaml"))


def _settings(*cell):
    with_data = ParsedCommand(["fit", *_configs(*cell)]).config.fit
    found = with_data.model.discriminator.init_args
    architecture = found.get("kernel") or found.get("architecture")
    return with_data, found, architecture


@pytest.mark.parametrize(
    ("regime", "eta", "time"),
    [
        ("ipm_inf", 1000, 1),
        ("ipm_finite", 100, 0.1),
        ("ipm_finite_reset", 1000, 1),
        ("lsgan_inf", 1000, 1),
        ("lsgan_finite", 1, 1),
    ],
)
def test_points_have_the_settings_of_the_paper(regime, eta, time, data):
    config, discriminator, architecture = _settings("8gaussians", regime, "relu")
    assert (config.model.optimizer.init_args.lr, discriminator.time) == (eta, time)
    assert config.model.optimizer.class_path == "torch.optim.SGD"
    assert (config.model.generator.init_args.n, config.data.init_args.num_samples) == (500, 500)
    assert (architecture.init_args.hidden_layers, architecture.init_args.b_std) == (3, 1.0)
    assert config.trainer.max_steps == 50_000
    if not regime.endswith("_inf"):
        assert discriminator.width == 128
        assert discriminator.reset == regime.endswith("reset")


def test_images_have_the_settings_of_the_paper(data):
    config, discriminator, architecture = _settings("celeba", "ipm_inf", "relu_b4")
    assert (config.model.optimizer.init_args.lr, discriminator.time) == (100, 1000)
    assert (config.model.generator.init_args.n, config.data.init_args.subset_size) == (1024, 1024)
    assert architecture.init_args.b_std == 4


@pytest.mark.parametrize(
    ("part", "described"),
    [
        ("relu", MLP(3, "relu", 1.0, 1.0)),
        ("relu_no_bias", MLP(3, "relu", 1.0, None)),
        ("relu_b4", MLP(3, "relu", 1.0, 4.0)),
        ("sigmoid", MLP(3, "sigmoid_like", 1.0, 0.2)),
        ("rbf_finite", MLP(1, {"name": "rbf", "gamma": 0.5}, 1.0, None)),
    ],
)
def test_architecture_is_that_of_the_paper(part, described, data):
    *_, architecture = _settings("8gaussians", "ipm_inf", part)
    assert repr(MLP(**architecture.init_args)) == repr(described)


def test_regimes_of_points_and_images_differ_in_eta_and_time_alone():
    for regime in _REGIMES:
        points, images = (
            yaml.safe_load((_PAPER / kind / f"{regime}.yaml").read_text()) for kind in ("points", "images")
        )
        for one in (points, images):
            del one["model"]["optimizer"]["init_args"]["lr"], one["model"]["discriminator"]["init_args"]["time"]
        assert points == images


def test_celeba_part_gives_options_that_there_are():
    given = yaml.safe_load((_PAPER / "data" / "celeba.yaml").read_text())["data"]["init_args"]
    assert given.keys() <= inspect.signature(datamodules.CelebADataModule).parameters.keys()


def test_download_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    given = yaml.safe_load((_PAPER / "data" / "ab.yaml").read_text())["data"]["init_args"]["target"]["init_args"]
    target = datamodules.targets.Picture(**given)
    with pytest.raises(ConfigError, match=r"no picture 'data/geomloss/B.png'.*https://raw.*no network.*by hand"):
        target.prepare()
