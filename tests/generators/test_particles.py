"""Particles: how far a step moves them, what a batch of them is, where they start, and that a run resumes."""

import copy

import numpy as np
import pytest
import torch
from tiny import Memory, TinyData, TinyDiscriminator, TinyQuality, tiny_trainer, write_config

from lightning_gantk import GAN
from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.cli import main
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.processes import average, own_part
from lightning_gantk.testing.several import in_processes
from lightning_gantk.training.evaluation import Evaluation

SHAPES = [(1,), (2,), (1, 32, 32), (3, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("start", ["normal", "uniform"])
def test_particles_are_samples_of_the_shape_asked_for(shape, start):
    particles = Particles(7, shape, start=start, noise=0.5)
    assert particles(particles.latent(7)).shape == (7, *shape)
    assert sum(p.numel() for p in particles.parameters()) == 7 * torch.Size(shape).numel()
    if start == "uniform":
        assert particles.samples.abs().max() <= 0.5


def test_images_cross_to_channels_last_with_no_copy():
    particles = Particles(5, (3, 8, 8))
    for batch in (5, 3):
        assert particles(particles.latent(batch)).permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("batch", [10, 4, 25])
@pytest.mark.parametrize("per_particle", [False, True])
def test_a_step_moves_the_particles_of_the_batch_by_the_convention(batch, per_particle):
    particles = Particles(10, per_particle=per_particle)
    before = particles.samples.detach().clone()
    latent = particles.latent(batch)
    optimizer = torch.optim.SGD(particles.parameters(), lr=0.3)
    (particles(latent) ** 2).sum(1).mean().backward()  # c(f(x)) = |x|^2, with gradient 2 x
    optimizer.step()
    copies = torch.bincount(latent, minlength=10)[:, None]
    expected = before - 0.3 * 2 * before * (copies.clamp(max=1) if per_particle else copies / batch)
    torch.testing.assert_close(particles.samples.detach(), expected)


def test_particles_of_several_processes_move_by_their_own_gradients():
    particles = Particles(5, per_particle=True)

    def work(rank):
        mine = copy.deepcopy(particles)
        latent = own_part(mine.latent(14))  # each particle two or three times
        mine(latent).square().sum(1).mean().backward()
        average([mine.samples.grad])
        return mine.samples.grad

    for gradient in in_processes(work):
        torch.testing.assert_close(gradient, 2 * particles.samples.detach())


def test_small_batches_are_choices_without_repetition_that_the_generator_fixes():
    particles = Particles(20)
    chosen = particles.latent(15, generator=torch.Generator().manual_seed(3))
    assert chosen.unique().numel() == 15
    assert torch.equal(chosen, particles.latent(15, generator=torch.Generator().manual_seed(3)))
    assert not torch.equal(chosen, particles.latent(15, generator=torch.Generator().manual_seed(4)))


def test_large_batches_go_round_in_order():
    particles = Particles(3)
    assert particles.latent(3).tolist() == [0, 1, 2]
    assert particles.latent(7).tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("batch", [2, 5, 100])
def test_validation_measures_every_particle_once(batch):
    particles, quality = Particles(9), TinyQuality()
    evaluation = Evaluation(quality)
    for _ in range(2):
        evaluation.start()
        for real in torch.randn(20, 2).split(batch):
            evaluation.update(real, particles)
        measured = torch.cat(quality.fake)
        assert torch.equal(measured, particles.samples.detach())
        evaluation.finish(lambda: None, torch.device("cpu"))


def test_several_processes_share_the_particles_of_validation():
    particles, shares = Particles(9), []
    for rank in range(2):
        quality = TinyQuality()
        evaluation = Evaluation(quality)
        evaluation.start(rank, 2)
        evaluation.update(torch.randn(20, 2), particles)
        shares.append(torch.cat(quality.fake))
    assert torch.cat(shares).sort(0).values.equal(particles.samples.detach().sort(0).values)


def test_particles_start_from_given_samples(tmp_path):
    given = torch.randn(6, 2)
    np.save(tmp_path / "start.npy", given.numpy())
    torch.save(given, tmp_path / "start.pt")
    data = TinyData(size=42)
    data.setup()
    for start, expected in (
        (given, given),
        (given.numpy(), given),
        (str(tmp_path / "start.npy"), given),
        (str(tmp_path / "start.pt"), given),
        (data, data.train_dataset),
    ):
        assert torch.equal(Particles(4, start=start).samples.detach(), expected[:4])
        assert torch.equal(Particles(None, start=start).samples.detach(), expected)
    torch.manual_seed(0)
    moved = Particles(None, start=given, noise=1e-3).samples.detach() - given
    assert 0 < moved.abs().max() < 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "'n' must be a whole number of at least 1"),
        ({"n": None}, "set 'n'"),
        ({"noise": -1.0}, "'noise' must be a number of at least 0"),
        ({"start": torch.randn(3, 2)}, "500 particles.*3 samples"),
        ({"start": torch.randn(600, 3)}, r"\(600, 3\).*\(N, 2\)"),
        ({"start": "nowhere.npy"}, "cannot be read from 'nowhere.npy'"),
        ({"start": "gaussian"}, "'normal', 'uniform' or"),
        ({"start": [[0.0, 0.0]]}, r"a data module, got \[\[0.0, 0.0\]\]"),
        ({"start": TinyData}, "got the class TinyData: make one of it"),
    ],
)
def test_particles_refuse_what_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        Particles(**options)


def _run(folder, steps, **options):
    torch.manual_seed(0)
    gan = GAN(
        Particles(16),
        TinyDiscriminator(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        fake_batch_size=5,
        quality=TinyQuality(),
    )
    trainer = tiny_trainer(folder, LastCheckpoint(), max_steps=steps, logger=Memory())
    trainer.fit(gan, datamodule=TinyData(), **options)
    return gan, trainer


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    whole, _ = _run(tmp_path / "whole", 6)
    _, first = _run(tmp_path / "first", 3)
    resumed, trainer = _run(tmp_path / "second", 6, ckpt_path=LastCheckpoint.path(first))
    assert trainer.global_step == 6
    assert torch.equal(resumed.generator.samples, whole.generator.samples)


def test_the_command_line_takes_all_the_parts(tmp_path, monkeypatch):
    """Particles from data, a transformed kernel from a random f_0 with inertia, and measures of points."""
    monkeypatch.chdir(tmp_path)
    points = {"target": {"class_path": "datamodules.targets.TwoMoons"}, "num_samples": 20}
    mlp = {"class_path": "lightning_gantk.architectures.MLP", "init_args": {"hidden_layers": 1}}
    transformed = {"class_path": "lightning_gantk.architectures.Transformed"}
    transformed["init_args"] = {"architecture": mlp, "transform": "tanh"}
    initial = {"class_path": "lightning_gantk.discriminators.InitialFunction"}
    initial["init_args"] = {"function": mlp, "width": 8}
    laplace = {"class_path": "lightning_gantk.kernels.Laplace", "init_args": {"gamma": 0.5}}
    metrics = [
        {"class_path": "lightning_gantk.metrics.Sinkhorn", "init_args": {"blur": 0.1, "scaling": 0.5}},
        {"class_path": "lightning_gantk.metrics.MMD", "init_args": {"kernel": laplace}},
    ]
    path = write_config(
        tmp_path / "particles.yaml",
        model={
            "generator": {
                "class_path": "lightning_gantk.generators.Particles",
                "init_args": {"n": 10, "start": {"class_path": "datamodules.PointsDataModule", "init_args": points}},
            },
            "discriminator": {
                "class_path": "lightning_gantk.discriminators.NTKDiscriminator",
                "init_args": {
                    "kernel": transformed,
                    "loss": "lightning_gantk.losses.Vanilla",
                    "initial": initial,
                    "inertia": 0.1,
                },
            },
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 1.0}},
            "quality": {"class_path": "lightning_gantk.metrics.Combined", "init_args": {"metrics": metrics}},
        },
        data={"class_path": "datamodules.PointsDataModule", "init_args": points},
        best_checkpoint={"monitor": "val/sinkhorn"},
    )
    command = main(["fit", f"--config={path}"])
    assert command.trainer.global_step == 6
    assert {"val/sinkhorn", "val/mmd", "val/mmd_floor"} <= set(command.trainer.callback_metrics)
    (checkpoint,) = (tmp_path / "runs").rglob("last.ckpt")
    loaded = GAN.load_from_checkpoint(checkpoint, weights_only=True)
    assert torch.equal(loaded.generator.samples, command.model.generator.samples)
