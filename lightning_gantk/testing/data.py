"""The contract of a data module: batches of one kind, splits over processes, and a place in them that resumes."""

import pickle
from abc import abstractmethod
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import DataModule
from lightning_gantk.testing.base import Contract

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader", "reference_dataloader")


class DataModuleContract(Contract):
    """Proves a ``DataModule``: ``make`` gives a small one, of two training batches at least.

    Examples:
        >>> from datamodules import PointsDataModule
        >>> from datamodules.targets import TwoMoons
        >>> from lightning_gantk.testing import DataModuleContract
        >>> class TestMoons(DataModuleContract):  # pytest finds its tests
        ...     def make(self):
        ...         return PointsDataModule(TwoMoons(), num_samples=16, batch_size=4)
    """

    @abstractmethod
    def make(self) -> DataModule:
        """The data, not yet read."""

    def test_shape_is_known_before_the_data_are_read(self) -> None:
        data = self.make()
        said = data.sample_shape
        batch = next(iter(self._ready().train_dataloader()))
        wrong = f"sample_shape says {said}, samples have {tuple(batch.shape[1:])}."
        self.claim(tuple(said) == tuple(batch.shape[1:]), wrong, DataModule.sample_shape.fget)

    @pytest.mark.parametrize("loader", _LOADERS)
    def test_batches_are_plain_float32_tensors(self, loader: str) -> None:
        data = self._ready()
        batch = next(iter(getattr(data, loader)()))
        wrong = f"A batch of {loader}() is {type(batch).__name__} {getattr(batch, 'dtype', '')}."
        self.claim(isinstance(batch, Tensor) and batch.dtype == torch.float32, wrong, DataModule)
        wrong = f"A batch of {loader}() has shape {tuple(batch.shape)}, batch_size is {data.batch_size}."
        right = 1 <= len(batch) <= data.batch_size and batch.shape[1:] == data.sample_shape
        self.claim(right and (loader != "train_dataloader" or len(batch) == data.batch_size), wrong, DataModule)
        self.claim(batch.isfinite().all(), f"A batch of {loader}() is not finite.", DataModule)
        if batch.ndim == 4:
            most = float(batch.abs().max())
            self.claim(most <= 1, f"Images of {loader}() go up to {most:g}, beyond [-1, 1].", DataModule)
            wrong = f"Images of {loader}() are copied on their way to JAX: they are not in channels-last memory."
            self.claim(batch.permute(0, 2, 3, 1).is_contiguous(), wrong, DataModule)

    def test_held_out_samples_come_whole_and_in_order(self) -> None:
        data = self._ready()
        of = DataModule.val_dataloader
        found = torch.cat(list(data.val_dataloader()))
        wrong = f"{len(found)} samples come of {len(data.val_dataset)} held out."
        self.claim(len(found) == len(data.val_dataset), wrong, of)
        self.same(torch.cat(list(data.val_dataloader())), found, "held-out samples of a second pass", of)
        self.same(found[0], data.val_dataset[0], "the first held-out sample", of)

    def test_reference_is_as_large_as_what_is_held_out_and_stays(self) -> None:
        data, of = self._ready(), DataModule.reference_dataloader
        first, again = (torch.cat(list(d.reference_dataloader())) for d in (data, self._ready()))
        wanted = min(len(data.val_dataset), len(data.train_dataset))
        self.claim(len(first) >= wanted, f"{len(first)} samples, where {wanted} are to be had.", of)
        self.same(first, again, "the reference, made twice", of)

    def test_settings_fix_the_batches(self) -> None:
        passes = []
        for seed in (0, 1):
            torch.manual_seed(seed)  # of no account
            passes.append(torch.cat(list(islice(self._ready().train_dataloader(), 2))))
        first, again = passes
        self.same(again, first, "training batches of equal data modules", DataModule.train_dataloader)

    def test_a_sample_stays_the_same(self) -> None:
        data = self._ready()
        first, again = data.train_dataset[0], data.train_dataset[0]
        self.same(first, again, "the same sample asked for twice", DataModule.load)

    def test_loaders_leave_the_global_random_numbers_alone(self) -> None:
        data = self._ready()
        for loader in _LOADERS:
            with self.leaves_random_numbers(f"{loader}()", DataModule):
                list(islice(getattr(data, loader)(), 2))

    def test_training_goes_on_with_the_very_next_batch(self) -> None:
        whole = list(islice(_endless(self._ready().train_dataloader()), 5))
        for given in (1, 2):
            loader = self._ready().train_dataloader()
            list(islice(_endless(loader), given))
            resumed = self._ready().train_dataloader()
            resumed.load_state_dict(loader.state_dict())
            rest = list(islice(_endless(resumed), 5 - given))
            what = f"batches after a checkpoint at batch {given}"
            self.same(torch.cat(rest), torch.cat(whole[given:]), what, DataModule.train_dataloader)

    def test_processes_share_the_samples_evenly(self) -> None:
        parts = {}
        for rank in (0, 1):
            data = self._ready(rank, 2)
            for loader in ("train_dataloader", "val_dataloader"):
                parts[loader, rank] = torch.cat(list(islice(getattr(data, loader)(), 2)))
        for loader in ("train_dataloader", "val_dataloader"):
            one, other = parts[loader, 0], parts[loader, 1]
            wrong = f"{loader}() gives {len(one)} samples to one process and {len(other)} to another."
            self.claim(len(one) == len(other), wrong, DataModule)
            wrong = f"Two processes are given the same batches by {loader}()."
            self.claim(not torch.equal(one, other), wrong, DataModule)

    def test_setup_again_does_nothing(self) -> None:
        data = self._ready()
        dataset = data.train_dataset
        data.setup("validate")
        self.claim(data.train_dataset is dataset, "A second setup() loads again.", DataModule.setup)

    def test_datasets_can_be_sent_to_worker_processes(self) -> None:
        data = self._ready()
        for name in ("train_dataset", "val_dataset"):
            dataset = getattr(data, name)
            try:
                sent = pickle.loads(pickle.dumps(dataset))
            except Exception as error:
                self.claim(False, f"{name} cannot be pickled: {type(error).__name__}: {error}", DataModule.load)
            else:
                self.same(sent[0], dataset[0], f"a sample of {name} after pickle", DataModule.load)

    def test_copies_give_the_same_batches(self) -> None:
        wanted = next(iter(self._ready().train_dataloader()))
        for way, other in self.copies(self.make(), DataModule):
            other.prepare_data()
            other.setup("fit")
            self.same(next(iter(other.train_dataloader())), wanted, f"a batch after {way}", DataModule)

    def test_a_batch_larger_than_the_data_is_refused(self) -> None:
        data = self.make()
        data.prepare_data()
        data.batch_size = 10**9
        if getattr(data, "num_samples", 0) is None:
            pytest.skip("points without an end fill any batch")
        self.refuses(data.setup, "batch_size", DataModule.setup)

    def _ready(self, rank: int = 0, processes: int = 1) -> DataModule:
        data = self.make()
        if processes > 1:
            trainer = SimpleNamespace(global_rank=rank, world_size=processes)
            data.trainer = trainer  # pyright: ignore[reportAttributeAccessIssue]  # all that data modules ask of one
        data.prepare_data()
        data.setup("fit")
        return data


def _endless(loader: DataLoader):
    """The batches of one epoch after the other."""
    while True:
        yield from loader
