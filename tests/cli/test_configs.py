"""Every configuration that is shipped runs, in either regime by its one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from faces import write_celeba
from PIL import Image
from torch import nn

from lightning_gantk import GAN
from lightning_gantk.cli import main
from lightning_gantk.cli_partial import ParsedCommand
from lightning_gantk.discriminators import FiniteDiscriminator
from lightning_gantk.metrics import InceptionFeatures

_CONFIGS = Path(__file__).parents[2] / "configs"
_QUICKSTART = _CONFIGS / "quickstart.yaml"
# See test_paper_configs for the paper's; specifications of comparisons are none.
_ALL = sorted(
    path for path in _CONFIGS.rglob("*.yaml") if path.relative_to(_CONFIGS).parts[0] not in ("paper", "compare")
)
_FINITE = _CONFIGS / "discriminator" / "finite_ipm.yaml"
_DISCRIMINATORS = sorted((_CONFIGS / "discriminator").glob("*.yaml"))
# Two steps of what takes minutes: few and small batches, a narrow network.
_SMALL = ["--data.init_args.batch_size=4", "--trainer.max_steps=2", "--trainer.limit_val_batches=2"]


def _name(path):
    return str(path.relative_to(_CONFIGS).with_suffix(""))


def test_systems_have_run_folders_of_their_own():
    names = [yaml.safe_load(path.read_text())["name"] for path in (_CONFIGS / "systems").rglob("*.yaml")]
    assert len(names) == len(set(names)) > 10


def test_every_system_has_an_experiment_on_8_gaussians():
    """As README has it."""
    folders = [path for path in (_CONFIGS / "systems").iterdir() if path.is_dir()]
    assert [path.name for path in folders if not (path / "8gaussians.yaml").is_file()] == []


@pytest.fixture
def mnist(tmp_path):
    """Files of MNIST's format and names, with noise in them; no download."""
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 6000)):
        pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes())
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return tmp_path / "data"


class Coarse(nn.Module):
    """In the place of Inception: an image at 2 x 2 pixels."""

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """CelebA and a folder of pictures, and features that need no weights."""
    write_celeba(tmp_path / "data", monkeypatch)
    (tmp_path / "data" / "pictures").mkdir()
    faces = sorted((tmp_path / "data" / "celeba" / "img_align_celeba").iterdir())
    for number, face in enumerate(faces):
        pixels = np.random.default_rng(number).integers(0, 256, (218, 178, 3), dtype=np.uint8)
        for path in (face, tmp_path / "data" / "pictures" / f"{number}.png"):
            Image.fromarray(pixels).save(path)
    monkeypatch.setattr(InceptionFeatures, "num_features", 12)
    monkeypatch.setattr(InceptionFeatures, "load", lambda self: Coarse())


_FEWER = {
    "celeba": ["--data.init_args.val_size=4"],
    "photographs": ["--data.init_args.val_size=4", "--data.init_args.num_samples=8"],
}


_PRETRAINED = ["--model.discriminator.init_args.pretrain=1", "--model.discriminator.init_args.steps=1"]


_NARROW = {
    "quickstart",
    "monitors",
    "finite",
    *(path.stem for path in _DISCRIMINATORS if path.stem.startswith("finite")),
}


def _slow_or_not(path):
    """The experiments of docs/systems on 8 Gaussians compile a kernel each, and are many."""
    return pytest.param(path, marks=pytest.mark.slow) if path.name == "8gaussians.yaml" else path


@pytest.mark.parametrize("path", list(map(_slow_or_not, _ALL)), ids=_name)
def test_config_runs_two_steps(path, tmp_path, monkeypatch, mnist, pictures):
    monkeypatch.chdir(tmp_path)  # where data/mnist.yaml finds its files
    whole = path.parent == _CONFIGS or "systems" in path.relative_to(_CONFIGS).parts
    experiment = whole and path.stem != "monitors"  # others are parts, to combine with one
    configs = [path] if experiment else [_QUICKSTART, path]
    if path.parent.name in ("data", "generator"):
        configs.append(_FINITE)  # which knows nothing of them either, and compiles nothing
    small = [
        *_SMALL,
        *_FEWER.get(path.stem, []),
        *(_PRETRAINED if path.parent.name == "score" and path.name != "8gaussians.yaml" else []),
        *(["--model.discriminator.init_args.width=4"] if configs[-1].stem in _NARROW else []),
    ]
    cli = main(["fit", *(f"--config={config}" for config in configs), "--trainer.enable_progress_bar=false", *small])
    assert cli.trainer.global_step == 2
    trained = "generator" if isinstance(cli.model, GAN) else "discriminator"
    assert cli.trainer.callback_metrics[f"train/{trained}_loss"].isfinite()
    assert all(parameter.isfinite().all() for parameter in cli.model.generator.parameters())
    (folder,) = (tmp_path / "runs").glob("*/version_0")
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    of_system = f"{path.parent.name}-{path.stem}"
    named = of_system if "systems" in path.relative_to(_CONFIGS).parts else "-".join(one.stem for one in configs)
    assert folder.parent.name == named


@pytest.mark.parametrize("experiment", ["celeba", "photographs"])
def test_colour_runs_in_the_finite_regime(experiment, tmp_path, monkeypatch, pictures):
    monkeypatch.chdir(tmp_path)
    configs = [_CONFIGS / f"{experiment}.yaml", _CONFIGS / "discriminator" / "finite_lsgan.yaml"]
    small = [*_SMALL, *_FEWER[experiment], "--model.discriminator.init_args.width=4"]
    cli = main(["fit", *(f"--config={config}" for config in configs), "--trainer.enable_progress_bar=false", *small])
    assert cli.trainer.global_step == 2
    assert cli.model.generator.out_shape[0] == 3
    assert all(parameter.isfinite().all() for parameter in cli.model.generator.parameters())


def _discriminator(*configs):
    command = ParsedCommand(["fit", *(f"--config={config}" for config in configs)])
    return command.config.fit.model.discriminator.as_dict()


@pytest.mark.parametrize("path", _DISCRIMINATORS, ids=_name)
def test_discriminator_config_depends_on_no_other_before_it(path):
    alone = _discriminator(_QUICKSTART, path)
    others = [other for other in _DISCRIMINATORS if other != path]
    for before in (others, others[::-1]):  # what one leaves behind, none of those after it may take away
        assert _discriminator(_QUICKSTART, *before, path) == alone


@pytest.mark.parametrize(
    ("experiment", "infinite"), [("quickstart", "MomentEmbedding"), ("particles", "NTKDiscriminator")]
)
def test_class_line_alone_changes_the_regime(experiment, infinite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (_CONFIGS / f"{experiment}.yaml").read_text()
    assert text.count(f"discriminators.{infinite}") == 1
    Path("finite.yaml").write_text(text.replace(f"discriminators.{infinite}", "discriminators.FiniteDiscriminator"))
    sizes = {
        "quickstart": ["--data.init_args.batch_size=1"],  # of a network 512 channels wide
        "particles": ["--data.init_args.num_samples=8", "--model.generator.init_args.n=8"],
    }
    switches = ["--trainer.max_steps=2", "--trainer.limit_val_batches=0", "--trainer.enable_progress_bar=false"]
    cli = main(["fit", "--config=finite.yaml", *sizes[experiment], *switches])
    assert isinstance(cli.model.discriminator, FiniteDiscriminator)
    assert cli.trainer.global_step == 2
    assert cli.trainer.callback_metrics["train/generator_loss"].isfinite()
    ours, theirs = (_discriminator(path)["init_args"] for path in ("finite.yaml", _CONFIGS / f"{experiment}.yaml"))
    for name in {"architecture", "loss", "time"} & theirs.keys():
        assert ours[name] == theirs[name], name


def test_discriminator_configs_cover_both_regimes_with_every_loss():
    names = {f"{regime}_{loss}" for regime in ("ntk", "finite") for loss in ("ipm", "lsgan", "vanilla", "hinge")}
    assert names <= {path.stem for path in _DISCRIMINATORS}


@pytest.mark.parametrize("loss", ["ipm", "lsgan", "vanilla", "hinge"])
def test_discriminator_configs_of_a_loss_differ_in_the_regime_alone(loss):
    ntk, finite = (
        _discriminator(_QUICKSTART, _CONFIGS / "discriminator" / f"{regime}_{loss}.yaml")["init_args"]
        for regime in ("ntk", "finite")
    )
    assert ntk["architecture"] == finite["architecture"]
    assert (ntk["loss"], ntk["time"]) == (finite["loss"], finite["time"])
