"""What every data module does: shapes, layout, splits over processes, errors; with a source of files on disk."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import Dataset

from datamodules import DataModule
from lightning_gantk.errors import ConfigError


class Files(Dataset):
    """Stands for images on disk: opened one by one, in the layout (C, H, W)."""

    def __init__(self, first, length):
        self.first, self.length = first, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return torch.full((3, 4, 5), float(self.first + index))


class Folder(DataModule):
    def __init__(self, train=20, held_out=7, **options):
        super().__init__(**options)
        self.train, self.held_out = train, held_out

    @property
    def sample_shape(self):
        return (3, 4, 5)

    def load(self):
        return Files(0, self.train), Files(100, self.held_out)


def ready(*, place=None, **options):
    data = Folder(**{"batch_size": 4, **options})
    if place is not None:
        data.trainer = SimpleNamespace(global_rank=place[0], world_size=place[1])
    data.setup()
    return data


def contents(loader):
    return [int(value) for batch in loader for value in batch[:, 0, 0, 0]]


def test_the_contract_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        DataModule(batch_size=1)


def test_held_out_samples_come_in_order_and_whole():
    assert contents(ready().val_dataloader()) == list(range(100, 107))


def test_reference_is_a_fixed_choice_of_training_samples_as_many_as_held_out():
    reference = contents(ready().reference_dataloader())
    assert len(set(reference)) == 7 and max(reference) < 20
    assert contents(ready().reference_dataloader()) == reference
    assert contents(ready(seed=1).reference_dataloader()) != reference
    assert len(contents(ready(held_out=30).reference_dataloader())) == 20
    for_the_end = ready()
    for_the_end.test_dataset = Files(200, 12)
    more = contents(for_the_end.reference_dataloader())
    assert len(set(more)) == 12 and more[:7] == reference  # that of validation stays what it is


def test_order_seed_changes_the_order_alone():
    default, other = ready(seed=3), ready(seed=3, order_seed=4)
    assert contents(default.train_dataloader()) == contents(ready(seed=3, order_seed=3).train_dataloader())
    assert contents(default.train_dataloader()) != contents(other.train_dataloader())
    assert contents(default.reference_dataloader()) == contents(other.reference_dataloader())


@pytest.mark.parametrize(("loader", "each"), [("train_dataloader", 8), ("val_dataloader", 3)])
def test_processes_share_the_samples_evenly_and_without_repeats(loader, each):
    shares = [contents(getattr(ready(place=(rank, 2)), loader)()) for rank in range(2)]
    assert [len(share) for share in shares] == [each, each]
    assert not set(shares[0]) & set(shares[1])


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ConfigError, match="batch_size=21 is larger than the data: there are 20 training samples"):
        ready(batch_size=21)
    with pytest.raises(ConfigError, match="10 training samples for each of 2 processes"):
        ready(batch_size=11, place=(0, 2))


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("batch_size", 0, 1), ("batch_size", 2.5, 1), ("seed", -1, 0), ("order_seed", -1, 0), ("num_workers", -1, 0)],
)
def test_numbers_out_of_range_are_refused(option, value, least):
    with pytest.raises(ConfigError, match=f"{option!r} must be a whole number of at least {least}, got {value}"):
        Folder(**{"batch_size": 4, option: value})


def test_hyperparameters_of_the_subclass_are_saved():
    assert ready(train=15).hparams["train"] == 15


def test_the_package_imports_neither_jax_nor_lightning():
    code = "import sys, datamodules.loader, datamodules.images; sys.exit(bool({'jax', 'lightning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_name_is_refused_with_the_known_ones():
    import datamodules

    with pytest.raises(
        AttributeError, match=r"no attribute 'CIFAR'; it has CelebADataModule, DataModule, .*MNISTDataModule"
    ):
        _ = datamodules.CIFAR
