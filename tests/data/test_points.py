"""The data module of points: finite and endless, what a batch is, and that a run resumes exactly."""

import pytest
import torch
from tiny import Memory, TinyDiscriminator, tiny_generator, tiny_trainer

from datamodules import PointsDataModule
from datamodules.targets import GaussianRing, TwoMoons
from lightning_gantk import GAN
from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.errors import ConfigError


def _data(**options):
    data = PointsDataModule(GaussianRing(), **options)
    data.setup()
    return data


def _all(loader):
    return torch.cat(list(loader))


def test_a_finite_set_is_one_batch_that_stays():
    data = _data(num_samples=30, epoch_length=4)
    batches = list(data.train_dataloader())
    assert len(batches) == len(data.train_dataloader()) == 4
    assert all(torch.equal(batch, data.train_dataset) for batch in batches)
    assert batches[0].shape == (30, *data.sample_shape) and batches[0].dtype == torch.float32


def test_validation_is_against_the_training_points_and_its_floor_against_fresh_ones():
    data = _data(num_samples=30)
    assert torch.equal(_all(data.val_dataloader()), data.train_dataset)
    reference = _all(data.reference_dataloader())
    assert reference.shape == (30, 2) and not torch.equal(reference, data.train_dataset)


def test_held_out_points_are_fresh():
    data = _data(num_samples=30, val_size=12)
    held_out = _all(data.val_dataloader())
    assert held_out.shape == (12, 2)
    assert torch.cdist(held_out, data.train_dataset).min() > 0


def test_small_batches_pass_through_the_finite_set():
    data = _data(num_samples=10, batch_size=3, epoch_length=6)
    batches = list(data.train_dataloader())
    for turn in (batches[:3], batches[3:]):  # 3 batches of 3 from 10 points
        seen = torch.cat(turn)
        assert seen.unique(dim=0).shape == (9, 2)
        assert (torch.cdist(seen, data.train_dataset).min(1).values == 0).all()
    assert not torch.equal(torch.cat(batches[:3]), torch.cat(batches[3:]))


def test_endless_points_are_fresh_in_every_batch():
    data = _data(num_samples=None, batch_size=5, epoch_length=6)
    loader = data.train_dataloader()
    points = torch.cat([_all(loader), _all(loader)])
    assert points.unique(dim=0).shape == (60, 2)
    assert len(data.val_dataset) == 1000
    assert torch.equal(points, torch.cat([_all(loader) for loader in [data.train_dataloader()] for _ in range(2)]))


def test_seeds_fix_the_points_and_the_order():
    options = {"num_samples": 10, "batch_size": 5, "epoch_length": 4}
    first, again = _data(**options), _data(**options)
    assert torch.equal(_all(first.train_dataloader()), _all(again.train_dataloader()))
    other_order = _data(order_seed=1, **options)
    assert torch.equal(first.train_dataset, other_order.train_dataset)
    assert not torch.equal(_all(first.train_dataloader()), _all(other_order.train_dataloader()))
    assert not torch.equal(first.train_dataset, _data(seed=1, **options).train_dataset)


@pytest.mark.parametrize("num_samples", [None, 10])
@pytest.mark.parametrize("given", [0, 1, 3, 4, 5, 8])
def test_a_loader_goes_on_with_the_very_next_batch(num_samples, given):
    data = _data(num_samples=num_samples, batch_size=4, epoch_length=4)
    expected = [batch for loader in [data.train_dataloader()] for _ in range(3) for batch in loader]
    loader, taken = data.train_dataloader(), 0
    while taken < given:
        for _ in loader:
            taken += 1
            if taken == given:
                break
    resumed = data.train_dataloader()
    resumed.load_state_dict(loader.state_dict())
    rest = [*resumed, *resumed]
    left = -given % 4 if given else 4
    assert len(rest) == 4 + (left or 4)
    for batch, wanted in zip(rest, expected[given:], strict=False):
        assert torch.equal(batch, wanted)


def test_processes_share_a_finite_set_and_draw_fresh_points_of_their_own(monkeypatch):
    parts = {}
    for size in (12, None):
        for rank in range(2):
            data = PointsDataModule(GaussianRing(), num_samples=size, batch_size=6, epoch_length=1)
            monkeypatch.setattr(data, "_place", lambda rank=rank: (2, rank))
            data.setup()
            parts[size, rank] = _all(data.train_dataloader())
    assert torch.cat([parts[12, 0], parts[12, 1]]).unique(dim=0).shape == (12, 2)
    assert torch.cdist(parts[None, 0], parts[None, 1]).min() > 0


def test_processes_draw_together_what_one_draws(monkeypatch):
    whole = PointsDataModule(GaussianRing(), num_samples=None, batch_size=12, epoch_length=2)
    whole.setup()
    parts = []
    for rank in range(2):
        data = PointsDataModule(GaussianRing(), num_samples=None, batch_size=6, epoch_length=2)
        monkeypatch.setattr(data, "_place", lambda rank=rank: (2, rank))
        data.setup()
        parts.append([*data.train_dataloader()])
    for batch, shares in zip(whole.train_dataloader(), zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(shares), batch)


def test_modes_are_those_of_the_target():
    data = PointsDataModule(GaussianRing(5, std=0.25))
    assert data.modes.shape == (5, 2) and data.mode_std == 0.25
    assert PointsDataModule(TwoMoons()).modes is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples"),
        ({"batch_size": 0}, "batch_size"),
        ({"val_size": 1}, "val_size"),
        ({"epoch_length": 0}, "epoch_length"),
        ({"num_samples": 5, "batch_size": 6}, "batch_size=6 is larger"),
    ],
)
def test_points_refuse_what_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        _data(**options)


def _run(folder, steps, num_samples, **options):
    torch.manual_seed(0)
    gan = GAN(tiny_generator(), TinyDiscriminator())
    data = PointsDataModule(GaussianRing(), num_samples=num_samples, batch_size=4, epoch_length=4)
    trainer = tiny_trainer(folder, LastCheckpoint(), max_steps=steps, logger=Memory())
    trainer.fit(gan, datamodule=data, **options)
    return gan, trainer


@pytest.mark.parametrize("num_samples", [None, 10])
@pytest.mark.parametrize("interrupted", [3, 4])
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path, num_samples, interrupted):
    whole, _ = _run(tmp_path / "whole", 7, num_samples)
    _, first = _run(tmp_path / "first", interrupted, num_samples)
    resumed, trainer = _run(tmp_path / "second", 7, num_samples, ckpt_path=LastCheckpoint.path(first))
    assert trainer.global_step == 7
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_loader_made_anew_every_epoch_is_refused(tmp_path):
    trainer = tiny_trainer(tmp_path, reload_dataloaders_every_n_epochs=2)
    with pytest.raises(ConfigError, match="reload_dataloaders_every_n_epochs at 0, not 2"):
        trainer.fit(GAN(tiny_generator(), TinyDiscriminator()), datamodule=PointsDataModule(GaussianRing()))
