"""Callbacks: pictures, checkpoints, reports, signals. (Exact resumption has a file of its own.)"""

import os
import re
import signal

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import TinyData, TinyDiscriminator, TinyQuality, tiny_generator, tiny_trainer
from torchvision.io import read_image

from lightning_gantk import GAN
from lightning_gantk.callbacks import (
    BestCheckpoint,
    LastCheckpoint,
    LogHyperparameters,
    RunSummary,
    SampleGrid,
    SavePredictions,
    StepProgressBar,
    StopOnSignal,
    StoppedBySignal,
    progress,
    samples,
)
from lightning_gantk.callbacks.hyperparameters import flat
from lightning_gantk.callbacks.predictions import as_bytes
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.pictures.image_grid import image_grid


def _gan(images=False, **options):
    torch.manual_seed(0)
    generator = DCGANGenerator((3, 8, 8), 3, 2) if images else tiny_generator()
    return GAN(generator, TinyDiscriminator(), **options)


def _fit(folder, *callbacks, images=False, gan=None, **options):
    gan = gan or _gan(images)
    trainer = tiny_trainer(folder, *callbacks, **options)
    trainer.fit(gan, datamodule=TinyData((3, 8, 8)) if images else TinyData())
    return gan, trainer


def _events(logger):
    logger.finalize("success")
    return EventAccumulator(logger.log_dir, size_guidance={"scalars": 0, "images": 0}).Reload()


# Sample grids


def test_grid_is_drawn_at_the_start_at_the_interval_and_at_the_end(tmp_path):
    grid = SampleGrid(every_n_steps=2, num_samples=5)
    _, trainer = _fit(
        tmp_path, grid, images=True, max_steps=5, logger=TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    )
    folder = tmp_path / "run" / "version_0" / "samples"
    assert sorted(p.name for p in folder.iterdir()) == [f"step_{step:06d}.png" for step in (0, 2, 4, 5)]
    assert grid.latest == str(folder / "step_000005.png")
    assert [image.step for image in _events(trainer.logger).Images("samples")] == [0, 2, 4, 5]
    assert min(read_image(grid.latest).shape[1:]) >= 400  # 8x8 pixels each, made visible
    first, last = (read_image(str(folder / f"step_{step:06d}.png")) for step in (0, 5))
    assert not torch.equal(first, last)


def test_grid_shows_the_same_latents_and_leaves_training_alone(tmp_path):
    with_grid, _ = _fit(tmp_path / "a", SampleGrid(every_n_steps=1), images=True)
    after = torch.rand(1)
    without, _ = _fit(tmp_path / "b", images=True)
    assert torch.equal(after, torch.rand(1))
    for one, other in zip(with_grid.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)
    pictures = []
    for folder in ("c", "d"):
        _fit(tmp_path / folder, grid := SampleGrid(), images=True, max_steps=1)
        pictures.append(read_image(grid.latest))
    assert torch.equal(*pictures)


def test_grid_says_at_which_step_its_fid_was_measured(tmp_path, monkeypatch):
    """The last grid alone comes after the validation of its step."""
    told = []
    monkeypatch.setattr(samples, "captioned", lambda grid, text: told.append(text) or grid)
    gan = _gan(images=True, quality=TinyQuality())
    _fit(tmp_path, SampleGrid(every_n_steps=3), images=True, gan=gan, max_steps=4, val_check_interval=2)
    texts = [re.sub(r"FID [\d.]+", "FID x", text) for text in told]
    assert texts == ["step 0", "step 3    FID x at 2", "step 4    FID x"]


def test_grid_does_nothing_for_vectors(tmp_path):
    _fit(tmp_path, grid := SampleGrid())
    assert grid.latest is None
    assert not (tmp_path / "samples").exists()


def test_grid_lays_images_out_in_a_square_from_black_to_white():
    images = torch.stack([torch.full((1, 2, 2), value) for value in (-1.0, 0.0, 1.0)])
    grid = image_grid(images)
    assert grid.shape == (3, 2 + 2 * (2 + 2), 2 + 2 * (2 + 2))  # two rows of two, with margins of 2 pixels
    assert [float(grid[0, 2, column]) for column in (2, 6)] == [0.0, 0.5]


@pytest.mark.parametrize("options", [{"every_n_steps": 0}, {"num_samples": 0}])
def test_grid_refuses_numbers_that_make_no_sense(options):
    with pytest.raises(
        ConfigError, match=f"'{next(iter(options))}' of the sample grid must be a whole number of at least 1, got 0"
    ):
        SampleGrid(**options)


# Checkpoints


def test_last_checkpoint_is_saved_first_at_the_interval_and_at_the_end(tmp_path):
    class Steps(Callback):
        def __init__(self):
            self.seen = []

        def on_save_checkpoint(self, trainer, gan, checkpoint):
            self.seen.append(checkpoint["global_step"])

    _fit(tmp_path, steps := Steps(), LastCheckpoint(every_n_steps=3), max_steps=7, val_check_interval=10, max_epochs=2)
    assert steps.seen == [1, 3, 6, 7]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 7


def test_last_checkpoint_is_left_alone_after_training(tmp_path):
    gan, trainer = _fit(tmp_path, LastCheckpoint(), gan=_gan(quality=TinyQuality()))
    path = tmp_path / "checkpoints" / "last.ckpt"
    before = path.read_bytes()
    with torch.no_grad():
        gan.generator.network[0].weight.zero_()  # as other weights are loaded
    trainer.validate(gan, datamodule=TinyData(), verbose=False)
    assert path.read_bytes() == before


def test_last_checkpoint_refuses_an_interval_of_0():
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        LastCheckpoint(every_n_steps=0)


def test_best_checkpoint_has_the_lowest_fid_and_says_it_in_its_name(tmp_path):
    gan = _gan(quality=TinyQuality())
    _, trainer = _fit(tmp_path, best := BestCheckpoint(), gan=gan, max_steps=8)
    logged = trainer.logger.of("val/fid")
    step = min(logged, key=logged.get)
    (path,) = (tmp_path / "checkpoints").iterdir()
    assert path.name == f"best-step{step:06d}-fid{logged[step]:.4g}.ckpt"
    assert best.best_model_path == str(path)
    assert torch.load(path, weights_only=True)["global_step"] == step


def test_best_checkpoint_can_rank_by_another_metric(tmp_path):
    _fit(tmp_path, BestCheckpoint(keep=2, monitor="val/kid"), gan=_gan(quality=TinyQuality()), max_steps=8)
    names = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert len(names) == 2
    assert all("-kid" in name for name in names)


# Reports


def test_summary_tells_fid_at_the_start_at_the_end_and_of_real_samples(tmp_path, capsys):
    gan = _gan(images=True, quality=TinyQuality())
    logger = TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    callbacks = [grid := SampleGrid(), RunSummary(), best := BestCheckpoint(), LastCheckpoint()]
    trainer = tiny_trainer(tmp_path, *callbacks, logger=logger, max_steps=4)
    data = TinyData((3, 8, 8))
    trainer.validate(gan, datamodule=data, verbose=False)
    start = float(trainer.callback_metrics["val/fid"])
    trainer.fit(gan, datamodule=data)
    end, floor = (float(trainer.callback_metrics[f"val/{name}"]) for name in ("fid", "fid_floor"))
    first, fid, *places = capsys.readouterr().out.splitlines()
    assert first.startswith("DCGANGenerator (")
    assert "3x8x8) against TinyDiscriminator (IPM)" in first
    assert fid == (
        f"FID {start:.4g} at the start, {end:.4g} at the end (after 4 generator steps), "
        f"{floor:.4g} for real against real{': worse than at the start' if end > start else ''}."
    )
    last = tmp_path / "run" / "version_0" / "checkpoints" / "last.ckpt"
    for place in (grid.latest, best.best_model_path, f"--ckpt_path {last}", f"tensorboard --logdir {logger.log_dir}"):
        assert any(line.endswith(place) for line in places), place


def test_summary_keeps_the_first_fid_in_checkpoints(tmp_path, capsys):
    _fit(tmp_path, RunSummary(), LastCheckpoint(), gan=_gan(quality=TinyQuality()), max_steps=4)
    line = capsys.readouterr().out.splitlines()[1]
    gan, trainer = _gan(quality=TinyQuality()), tiny_trainer(tmp_path, RunSummary(), max_steps=5)
    trainer.fit(gan, datamodule=TinyData(), ckpt_path=tmp_path / "checkpoints" / "last.ckpt")
    again = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("FID ")
    assert line.split(" after 2 steps")[0] == again.split(" after 2 steps")[0]
    assert "when last measured (after 4 generator steps)" in again


def test_summary_may_tell_of_another_metric(tmp_path, capsys):
    trainer = _fit(tmp_path, RunSummary("val/kid"), gan=_gan(quality=TinyQuality()), max_steps=2)[1]
    kid = trainer.callback_metrics["val/kid"]
    assert f"KID {kid:.4g} after 2 steps, {kid:.4g} at the end" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mode", "first", "last", "worse"),
    [("min", 1, 2, True), ("max", 2, 1, True), ("min", 2, 1, False), ("max", 1, 2, False)],
)
def test_summary_says_where_the_end_is_worse_than_the_start(mode, first, last, worse, tmp_path):
    summary = RunSummary("val/kid")
    summary.load_state_dict({"first": (0, first), "last": (0, last)})
    trainer = tiny_trainer(tmp_path, summary, BestCheckpoint(monitor="val/kid", mode=mode))
    assert summary._told(trainer).endswith(": worse than at the start.") is worse


def test_summary_says_where_no_fid_was_measured(tmp_path, capsys):
    _fit(tmp_path, RunSummary())
    assert "3 generator steps are done; no FID was measured." in capsys.readouterr().out


def test_hyperparameters_are_logged_with_the_fid(tmp_path):
    logger = TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    gan = _gan(quality=TinyQuality(), ema_decay=0.5)
    _fit(tmp_path, LogHyperparameters({"seed": 3}), gan=gan, logger=logger)
    events = _events(logger)
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content.decode(errors="replace")
    for name in ("seed", "ema_decay", "data.batch_size", "TinyData"):
        assert name in content
    results = events.summary_metadata["_hparams_/experiment"].plugin_data.content.decode(errors="replace")
    assert all(name in results for name in ("val/fid", "val/kid", "val/fid_floor"))
    assert "train/" not in results


def test_hyperparameters_are_logged_with_the_loss_where_nothing_is_validated(tmp_path):
    logger = TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    _fit(tmp_path, LogHyperparameters({"seed": 3}), gan=_gan(), logger=logger)
    metadata = _events(logger).summary_metadata
    assert "train/generator_loss" in metadata["_hparams_/experiment"].plugin_data.content.decode(errors="replace")


def test_hyperparameters_are_named_by_path_and_classes_by_name():
    nested = {"model": {"class_path": "a.b.Net", "init_args": {"width": 3, "loss": {"class_path": "c.IPM"}}}, "_x": 1}
    assert flat(nested) == {"model": "Net", "model.width": 3, "model.loss": "IPM"}


def test_predictions_are_written_as_bytes_and_as_a_picture(tmp_path):
    gan, latents = _gan(images=True), torch.randn(7, 3)
    loader = torch.utils.data.DataLoader(latents, batch_size=4)
    tiny_trainer(tmp_path, SavePredictions(folder=str(tmp_path / "out"))).predict(gan, loader)
    saved = np.load(tmp_path / "out" / "samples.npz")
    assert saved["samples"].shape == (7, 8, 8, 3)
    assert saved["samples"].dtype == np.uint8
    np.testing.assert_array_equal(saved["latents"], latents.numpy())
    np.testing.assert_array_equal(saved["samples"], as_bytes(gan.sample(latents)))
    assert read_image(str(tmp_path / "out" / "samples.png")).ndim == 3


def test_predictions_of_vectors_are_floats(tmp_path):
    gan, latents = _gan(), torch.randn(3, 3)
    tiny_trainer(tmp_path, SavePredictions()).predict(gan, torch.utils.data.DataLoader(latents))
    saved = np.load(tmp_path / "predictions" / "samples.npz")["samples"]
    np.testing.assert_allclose(saved, gan.sample(latents).numpy(), atol=1e-6)  # in batches of another size
    assert not (tmp_path / "predictions" / "samples.png").exists()


def test_bytes_cover_the_range():
    images = torch.tensor([-1.0, -1.5, 0.0, 1.0, 2.0]).view(5, 1, 1, 1)
    assert as_bytes(images).ravel().tolist() == [0, 0, 128, 255, 255]


def test_progress_bar_reads_numbers_no_more_often_than_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 1.0)  # all steps at once
    read = []

    class Listening(StepProgressBar):
        def get_metrics(self, trainer, pl_module):
            self._metrics = {"": 0}
            metrics = super().get_metrics(trainer, pl_module)
            if self._in_step:
                read.append("" not in metrics)
            return metrics

    _fit(tmp_path, Listening(), max_steps=7, enable_progress_bar=True)
    assert read == [True] + 6 * [False]


def test_progress_bar_counts_steps_where_the_run_does(tmp_path):
    class Watch(Callback):
        def __init__(self, bar):
            self.bar, self.seen = bar, []

        def on_train_batch_end(self, *args):
            task = self.bar.train_progress_bar
            self.seen.append((task.description, task.completed, task.total))

    bar = StepProgressBar()
    _fit(tmp_path, bar, watch := Watch(bar), max_steps=7, enable_progress_bar=True)  # 5 batches an epoch
    assert [(done, total) for _, done, total in watch.seen] == [(step, 7) for step in range(1, 8)]
    assert watch.seen[0][0].strip() == "Training"
    bar = StepProgressBar()
    _fit(tmp_path, bar, watch := Watch(bar), max_steps=-1, max_epochs=2, enable_progress_bar=True)
    assert [(done, total) for _, done, total in watch.seen] == [(step, 5) for step in [1, 2, 3, 4, 5] * 2]
    assert "loss" in bar.get_metrics(bar.trainer, bar.trainer.lightning_module)


# Signals


class Send(Callback):
    """Sends this process signals at the beginning of the first step, or of a validation."""

    def __init__(self, *numbers, in_validation=False):
        self.numbers, self.in_validation = numbers, in_validation

    def _send(self):
        for number in self.numbers:
            os.kill(os.getpid(), number)

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == 0 and not self.in_validation:
            self._send()

    def on_validation_batch_start(self, *args):
        if self.in_validation:
            self._send()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_saves_after_the_step_and_stops_with_the_code_of_shells(number, code, tmp_path, capsys):
    before = signal.getsignal(number)
    with pytest.raises(StoppedBySignal) as stopped:
        _fit(tmp_path, Send(number), StopOnSignal())
    assert stopped.value.code == code
    path = tmp_path / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True)["global_step"] == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "Stopped" in line]
    assert line == f"Stopped by {number.name} after generator step 1. Resume with --ckpt_path {path}"
    assert signal.getsignal(number) == before


def test_signal_lets_the_step_be_logged(tmp_path):
    trainer = tiny_trainer(tmp_path, Send(signal.SIGTERM), StopOnSignal())
    with pytest.raises(StoppedBySignal):
        trainer.fit(_gan(), datamodule=TinyData())
    assert list(trainer.logger.of("train/generator_loss")) == [0]


def test_second_interrupt_stops_at_once(tmp_path):
    with pytest.raises(SystemExit) as stopped:  # Lightning's answer to KeyboardInterrupt
        _fit(tmp_path, Send(signal.SIGINT, signal.SIGINT), StopOnSignal())
    assert not isinstance(stopped.value, StoppedBySignal)
    assert not (tmp_path / "checkpoints").exists()


def test_signal_outside_training_stops_at_once(tmp_path):
    trainer = tiny_trainer(tmp_path, Send(signal.SIGTERM, in_validation=True), StopOnSignal())
    with pytest.raises(StoppedBySignal, match="Stopped by SIGTERM"):
        trainer.validate(_gan(quality=TinyQuality()), datamodule=TinyData(), verbose=False)
    assert not (tmp_path / "checkpoints").exists()
