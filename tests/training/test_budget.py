"""Budgets in seconds: what counts, when training stops, and that a resumed run has the rest."""

import math
import time

import pytest
import torch
from lightning.pytorch import Callback
from tiny import TinyDiscriminator, TinyQuality, tiny_fit

from lightning_gantk import bridge
from lightning_gantk.callbacks import Budget, ChangedSettings, LastCheckpoint, budget
from lightning_gantk.errors import Advice, ConfigError

_ENDLESS = {"max_steps": -1, "val_check_interval": 5}


class Clock:
    """One that only moves when it is told to."""

    def __init__(self):
        self.now = self.compiling = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock of budgets, of the wall, and of JAX's compilations."""
    made = Clock()
    monkeypatch.setitem(budget._CLOCKS, "cpu", made)
    monkeypatch.setattr(time, "perf_counter", made)
    monkeypatch.setattr(bridge, "compile_seconds", lambda: made.compiling)
    return made


class Slow(TinyDiscriminator):
    """Takes two seconds a fit, and compiles for ten more in the first."""

    clock: Clock

    def fit(self, real, fake):
        super().fit(real, fake)
        if self.clock.compiling == 0:
            self.clock.now += 10
            self.clock.compiling += 10
        self.clock.now += 2


class SlowQuality(TinyQuality):
    clock: Clock

    def compute(self):
        self.clock.now += 100
        return super().compute()


def _parts(clock):
    discriminator, quality = Slow(), SlowQuality()
    discriminator.clock = quality.clock = clock
    return {"discriminator": discriminator, "quality": quality}


def test_compilation_takes_its_share_of_the_seconds_of_all_threads(tmp_path, clock, monkeypatch):
    monkeypatch.setitem(budget._CLOCKS, "cpu", lambda: 2 * clock.now)  # two threads at work
    made = Budget(17, clock="cpu")
    _, trainer = tiny_fit(tmp_path, made, trainer=_ENDLESS, **_parts(clock))
    assert (trainer.global_step, made.spent) == (5, pytest.approx(20))  # of 4 s each, of the first's 24 too


@pytest.mark.parametrize("sanity", [0, 2])
def test_training_stops_at_its_seconds_and_validates_once_more(sanity, tmp_path, clock):
    made, options = Budget(17, clock="cpu"), {**_ENDLESS, "num_sanity_val_steps": sanity}
    _, trainer = tiny_fit(tmp_path, made, trainer=options, **_parts(clock))
    assert trainer.global_step == 9  # of 2 s each: neither validations nor compilations count
    assert made.spent == pytest.approx(18)
    assert trainer.logger.of("time/training") == {5: pytest.approx(10), 9: pytest.approx(18)}
    assert set(trainer.logger.of("val/fid")) == {5, 9}


def test_resumed_run_has_what_is_left(tmp_path, clock):
    parts = {"trainer": {**_ENDLESS, "max_steps": 4}}
    _, first = tiny_fit(tmp_path, Budget(17, clock="cpu"), LastCheckpoint(), **parts, **_parts(clock))
    path = LastCheckpoint.path(first)
    clock.now += 1000
    made = Budget(17, clock="cpu")
    _, second = tiny_fit(tmp_path, made, LastCheckpoint(), ckpt_path=path, trainer=_ENDLESS, **_parts(clock))
    assert second.global_step == 9 and made.spent == pytest.approx(18)
    again = Budget(17, clock="cpu")
    with pytest.warns(Advice, match="budget of 17 s is spent .18.0 s before the checkpoint.*more budget.seconds"):
        _, third = tiny_fit(tmp_path, again, ckpt_path=LastCheckpoint.path(second), trainer=_ENDLESS, **_parts(clock))
    assert third.global_step == 9  # a run that was done takes no step more


class Rates(Budget):
    """Keeps the learning rates of all steps."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rates = []

    def on_train_batch_start(self, trainer, *args):
        super().on_train_batch_start(trainer, *args)
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def _sgd(lr):
    return {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=lr)}


def test_learning_rate_falls_with_what_is_spent(tmp_path, clock):
    made = Rates(8, clock="cpu", schedule="cosine")
    tiny_fit(tmp_path, made, trainer=_ENDLESS, **_sgd(0.1), **_parts(clock))
    assert made.rates == pytest.approx([0.05 * (1 + math.cos(math.pi * share)) for share in (0, 0.25, 0.5, 0.75)])


def test_all_processes_take_the_rate_of_the_one_that_has_spent_most(tmp_path, clock, monkeypatch):
    ahead = lambda number, device: number if isinstance(number, bool) else number + 2  # noqa: E731 - another process is
    monkeypatch.setattr(budget, "largest", ahead)
    made = Rates(8, clock="cpu", schedule="cosine")
    tiny_fit(tmp_path, made, trainer={**_ENDLESS, "max_steps": 3}, **_sgd(0.1), **_parts(clock))
    assert made.rates == pytest.approx([0.05 * (1 + math.cos(math.pi * share)) for share in (0.25, 0.5, 0.75)])


def test_resumed_run_with_another_rate_goes_on_at_its_place_in_the_schedule(tmp_path, clock):
    parts = {"trainer": {**_ENDLESS, "max_steps": 2}}
    first = Rates(8, clock="cpu", schedule="cosine")
    _, trainer = tiny_fit(tmp_path, first, LastCheckpoint(), **parts, **_sgd(0.1), **_parts(clock))
    path = LastCheckpoint.path(trainer)
    made = Rates(8, clock="cpu", schedule="cosine")
    changed = ChangedSettings({"optimizer"})
    tiny_fit(tmp_path, made, changed, ckpt_path=path, trainer=_ENDLESS, **_sgd(0.2), **_parts(clock))
    assert made.rates == pytest.approx([0.1 * (1 + math.cos(math.pi * share)) for share in (0.5, 0.75)])


def test_two_schedules_are_refused(tmp_path):
    options = {"scheduler": lambda one: torch.optim.lr_scheduler.StepLR(one, 1)}
    with pytest.raises(ConfigError, match=r"after all others, or set model\.scheduler to null"):
        tiny_fit(tmp_path, Budget(1, schedule="cosine"), **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seconds": 0}, "must be positive, got 0"),
        ({"seconds": 1, "clock": "sun"}, "must be 'wall' or 'cpu', got 'sun'"),
        ({"seconds": 1, "schedule": "linear"}, "must be 'cosine' or null, got 'linear'"),
        ({"schedule": "cosine"}, "needs its 'seconds'"),
    ],
)
def test_bad_budget_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        Budget(**options)


def test_a_step_of_several_batches_is_taken_whole(tmp_path, clock):
    """Four batches of 2 s: the seconds are over amid the second step."""
    made = Rates(5, clock="cpu", schedule="cosine")
    options = {**_ENDLESS, "accumulate_grad_batches": 2}
    _, trainer = tiny_fit(tmp_path, made, trainer=options, **_sgd(0.1), **_parts(clock))
    assert trainer.global_step == 2
    wanted = [0.05 * (1 + math.cos(math.pi * share)) for share in (0, 0.4, 0.8)] + [0.0]
    assert made.rates == pytest.approx(wanted, abs=1e-12)


class Kept(Callback):
    """What checkpoints were told, and at which steps."""

    def __init__(self):
        self.spent, self.steps = [], []

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        self.steps.append(checkpoint["global_step"])
        self.spent += [state["spent"] for key, state in checkpoint["callbacks"].items() if "Budget" in key]


def test_without_seconds_it_counts_all_the_same(tmp_path, clock):
    kept, options = Kept(), {"max_steps": 4, "val_check_interval": 2}
    callbacks = Budget(clock="cpu"), LastCheckpoint(every_n_steps=3), kept
    tiny_fit(tmp_path, *callbacks, trainer=options, **_parts(clock))
    assert kept.steps == [1, 3, 4]
    assert kept.spent == pytest.approx([2, 6, 8])


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"val_check_interval": 1}, [1, 1, 3, 3, 4]),  # and once more after a validation of a step that was saved
        ({"limit_val_batches": 0, "accumulate_grad_batches": 2}, [1, 3, 4]),
    ],
)
def test_last_checkpoint_is_written_at_these_steps(options, steps, tmp_path):
    kept = Kept()
    tiny_fit(
        tmp_path, LastCheckpoint(every_n_steps=3), kept, quality=TinyQuality(), trainer={"max_steps": 4, **options}
    )
    assert kept.steps == steps
