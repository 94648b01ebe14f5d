"""What the command line refuses, and how a run ends that cannot go on: in one line."""

import re
import sys
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import torch
import yaml
from refusals import refused

from lightning_gantk.cli import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--model.generator.class_path lightning_gantk.generators.DCGANGenerater", "did you mean .*DCGANGenerator"),
        ("--model.generator MLPGen", "model.generator: there is no class 'MLPGen'; did you mean .*MLPGenerator"),
        (
            "--model.generator no.such.Thing",
            "there is no module 'no' for no.such.Thing: no.py lies neither in this folder",
        ),
        ("--model.generator.init_args.chanels 3", "DCGANGenerator has no option 'chanels'; did you mean channels"),
        ("--model.generator.init_args.channels x", "model.generator.channels: expected int, got x"),
        ("--model.discriminator.init_args.loss LSGN", "discriminator.loss: .* no class 'LSGN'; did you mean .*LSGAN"),
        (
            "--model.generator.init_args.channels 3 --model.generator MLPGenerator",
            "channels was given before model.generator became another class, which has no option 'channels'",
        ),
        (
            "--model.generator.channels 3 --model.generator MLPGenerator",
            "channels was given before model.generator became another class, which has no option 'channels'",
        ),
        ("--model.optimizer.init_args.lrr 1", "Adam has no option 'lrr'; did you mean lr"),
        ("--model.optimizer torch.optim.Adamm", "no class 'torch.optim.Adamm'; did you mean torch.optim.Adam"),
        (
            "--model.discriminator MomentEmbedding --model.discriminator.loss IPM "
            "--model.discriminator.architecture DCGAN --model.discriminator.architecture.top flaten",
            "architecture.top: expected 'flatten' or 'global_average', got flaten",
        ),
        (
            "--model.discriminator NTKDiscriminator --model.discriminator.loss IPM "
            "--model.discriminator.architecture lightning_gantk.kernels.RBF",
            "RBF is no Architecture; a kernel is given as 'kernel'",
        ),
        ("--model.scheduler CosineAnnealingLR --model.scheduler.T_max 0", "schedule cannot take a step: .*zero"),
        (
            "--model.discriminator.loss MonoFlow --model.discriminator.loss.h arcsin",
            "loss.h: expected 'logit' or 'ns' or 'vanilla' or 'arcsinh' or 'exp' or a function's import path, got "
            "arcsin; did you mean 'arcsinh'",
        ),
        (
            "--model.generator CoupledParticles --model.generator.coupling MPL",
            "coupling: expected a number, got MPL; did you mean lightning_gantk.architectures.MLP",
        ),
        ("--trainer.logger wandb", "no class 'wandb'; did you mean lightning.pytorch.loggers.WandbLogger"),
        ("--seed_everything abc", "seed_everything: expected bool or int, got abc"),
        ("--model.fake_batch_size x", "model.fake_batch_size: expected int, got x"),
        ("--model.statistics_evry 3", "no key 'model.statistics_evry'; did you mean model.statistics_every"),
        ("--trainer.max_step 3", "no key 'trainer.max_step'; did you mean trainer.max_steps"),
        ("--data.init_args.batch_sise 3", "TinyData has no option 'batch_sise'; did you mean batch_size"),
        ("--data Nothing", "data: there is no class 'Nothing'"),
        ("--model.discriminator.init_args.time -1", "time must be at least 0, got time=-1"),
        ("--model.generator.init_args.out_shape [1,30,30]", "multiples of 4"),
        ("--model.generator.init_args.out_shape [1,8,12]", r"set the generator's out_shape to \[1, 8, 8\]"),
        ("--data.init_args.batch_size 43", "batch_size=43 is larger than the data: there are 42"),
        ("--trainer.devices none", "devices"),
        ("--trainer.accelerator warp", "accelerator"),
        ("--sample_grid.every_n_steps 0", "'every_n_steps' of the sample grid"),
        ("--config missing.yaml", "config: File does not exist: '.*missing.yaml'"),
        ("--ckpt_path missing.ckpt", "there is no checkpoint missing.ckpt"),
        ("--ckpt_path last", "there is no last checkpoint"),
        ("--ckpt_path tiny.yaml", "tiny.yaml is no checkpoint: torch has not written it"),
    ],
)
def test_error_is_one_line_that_helps(words, says, config, capsys):
    line = refused(["fit", "--config", "tiny.yaml", *words.split()], capsys)
    assert re.search(says, line), line
    assert not list(Path().rglob("*.png"))  # nothing has begun


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trainer: {max_stps: 3}", "no key 'trainer.max_stps'; did you mean trainer.max_steps"),
        ("trainr: {max_steps: 3}", "no key 'trainr.*did you mean trainer"),
        ("model: {foo: 3}", "no key 'model.foo'"),
        (
            "model: {discriminator: {init_args: {loss: {class_path: lightning_gantk.losses.MonoFlow, "
            "init_args: {h: arcsin}}}}}",
            "loss.h: expected 'logit' .* got arcsin; did you mean 'arcsinh'",
        ),
        ("trainer: [", "Problems parsing config"),
        ("model: {generator: {class_path: lightning_gantk.generators.MLPGenerator, init_args: {hiden: [3]}}}", "hiden"),
        ("data: !!python/object/apply:os.system ['false']", "could not determine a constructor"),
    ],
)
def test_error_in_yaml_is_one_line_that_helps(text, says, config, capsys):
    Path("wrong.yaml").write_text(text)
    line = refused(["fit", "--config", "tiny.yaml", "--config", "wrong.yaml"], capsys)
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--model.generator own_kinds.MyGen", "no class 'own_kinds.MyGen'; did you mean own_kinds.MyGenerator"),
        ("--model.generator own_kinds.Other", "no class 'own_kinds.Other'; it may be one of own_kinds.MyGenerator."),
        ("--model.generator own_kids.MyGenerator", "no module 'own_kids' .*; did you mean own_kinds.MyGenerator"),
        (
            "--model.generator own_kinds.more.MyGen",
            "'own_kinds.more' .*: own_kinds is a single file; .*kinds.MyGenerator",
        ),
        (
            "--model.generator own_folder.part.Mine",
            "'own_folder.part' .* has no part; did you mean own_folder.parts.Mine",
        ),
        (
            "--model.generator lightning_gantk.flow.MLP",
            "no module 'lightning_gantk.flow' .* lightning_gantk.architec.*MLP",
        ),
        ("--model.generator torch.nn.Linaer", "no class 'torch.nn.Linaer'; did you mean torch.nn.Linear"),
        (
            "--model.discriminator.loss MonoFlow --model.discriminator.loss.h own_kinds.growin",
            "'exp' or a function: there is no function 'own_kinds.growin'; did you mean own_kinds.growing",
        ),
    ],
)
def test_near_names_in_a_file_of_one_s_own_are_told(words, says, config, monkeypatch, capsys):
    monkeypatch.syspath_prepend(config.parent)
    Path("own_kinds.py").write_text(
        "from lightning_gantk.generators import MLPGenerator\nclass MyGenerator(MLPGenerator): pass\n"
        "def growing(s): return s\n"
    )
    Path("own_folder").mkdir()
    Path("own_folder/parts.py").write_text("class Mine: pass")
    monkeypatch.delitem(sys.modules, "own_kinds", raising=False)
    monkeypatch.delitem(sys.modules, "own_folder", raising=False)
    line = refused(["fit", "--config", "tiny.yaml", *words.split()], capsys)
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--model.generator MLPGenerator", "no key 'model.generator': a DiscriminatorFlow has no generator"),
        (
            "--model.generator.init_args.latent_dim 3",
            "no key 'model.generator': .* has no generator .system GAN has., but",
        ),
        ("--config tiny.yaml", "no key 'model.generator': .*, but eta, gradient_penalty, loss, network, .* stop"),
        (
            "--system GAN --model.steps 3",
            "no key 'model.steps': a GAN has no steps .system DiscriminatorFlow has., but",
        ),
    ],
)
def test_keys_of_another_system_are_told(words, says, config, capsys):
    flow = Path(__file__).parents[2] / "configs/systems/discriminator_flow/five_gaussians.yaml"
    line = refused(["fit", "--config", flow, *words.split()], capsys)
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "fit,validate,test,predict"),
        (["fti"], "invalid choice: 'fti'"),
        (["fit"], "required: model.generator, model.discriminator, data"),
        (["predict", "--config", "tiny.yaml"], "predict needs a trained generator"),
    ],
)
def test_error_in_commands_is_one_line_that_helps(args, says, config, capsys):
    assert says in refused(args, capsys)


def _without_network(config, monkeypatch):
    """A metric that fetches a network, for a cache that is empty."""
    monkeypatch.setenv("TORCH_HOME", str(config.parent / "cache"))
    metric = {
        "class_path": "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity",
        "init_args": {"net_type": "squeeze"},
    }
    quality = {"class_path": "lightning_gantk.metrics.TorchMetric", "init_args": {"metric": metric}}
    Path("metric.yaml").write_text(yaml.safe_dump({"model": {"quality": quality}}))
    return ["fit", "--config", "tiny.yaml", "--config", "metric.yaml"]


@pytest.mark.parametrize("error", [URLError("no route"), TimeoutError("timed out"), IncompleteRead(b"")], ids=repr)
def test_error_for_a_metric_that_cannot_download_its_network_names_it(error, config, monkeypatch, capsys):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    line = refused(_without_network(config, monkeypatch), capsys)
    assert "LearnedPerceptualImagePatchSimilarity cannot get the network" in line and str(error) in line
    assert "run once with a network connection" in line and len(line) <= 300


def test_error_for_a_network_with_the_wrong_checksum_is_one_line(config, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: urlopen("data:,something%20else"))
    bar = torch.hub.tqdm
    monkeypatch.setattr(torch.hub, "tqdm", lambda *args, **options: bar(*args, **options | {"disable": True}))
    line = refused(_without_network(config, monkeypatch), capsys)
    assert "LearnedPerceptualImagePatchSimilarity cannot get the network" in line and "invalid hash value" in line
    assert "another file arrived than was meant, run again" in line
    assert not list((config.parent / "cache").rglob("*.pth"))


def test_error_for_a_damaged_network_in_the_cache_names_the_file(config, monkeypatch, capsys):
    args = _without_network(config, monkeypatch)
    path = config.parent / "cache" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    line = refused(args, capsys)
    assert "cannot get the network" in line and f"{path} is damaged, remove it and run again" in line


def test_metric_that_a_comparison_waits_for_and_nobody_logs_is_told_at_the_first_validation(config, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--config", "tiny.yaml"], expected=["val/fid", "val/fidd"])
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "the comparison waits for 'val/fidd', which nobody logs: validation gives " in line and "val/fid," in line
    assert line.endswith("; did you mean val/fid?\n") or "; did you mean val/fid or " in line
    assert not list(Path().rglob("*.ckpt"))  # no step was taken


def test_error_for_a_checkpoint_of_another_model(config, capsys):
    main(["fit", "--config", "tiny.yaml"])
    path = Path("runs/tiny/version_0/checkpoints/last.ckpt")
    saved = torch.load(path, weights_only=True)
    saved["state_dict"].pop("generator.network.0.weight")
    torch.save(saved, path)
    capsys.readouterr()
    assert "the checkpoint holds another model" in refused(["fit", "--ckpt_path", "last"], capsys)


def test_divergence_ends_with_code_1_and_one_line(config, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--config", "tiny.yaml", "--model.optimizer.init_args.lr", "1e38"])
    line = capsys.readouterr().err
    assert stopped.value.code == 1
    assert line.count("\n") == 1
    assert "Training diverged in generator step" in line
    assert "runs/tiny/version_0/checkpoints/diverged.ckpt" in line
