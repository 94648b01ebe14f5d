"""The training loader: an order that (seed, epoch) fix, and a place in it that a checkpoint keeps."""

import multiprocessing
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data.distributed import DistributedSampler

from datamodules.samples import Samples, as_dataset
from lightning_gantk.errors import Advice


def collate(samples: Any) -> Any:
    """Makes a batch: images (C, H, W) become (N, C, H, W) in channels-last memory, vectors (d,) become (N, d).

    Channels-last memory crosses to JAX without a copy. A dataset with ``__getitems__`` gives its batch ready-made.
    Samples with labels become a pair.
    """
    if isinstance(samples, Tensor | tuple):
        return samples
    if isinstance(samples[0], tuple):
        several, labels = zip(*samples, strict=True)
        return collate(list(several)), torch.stack(labels)
    if samples[0].ndim != 3:
        return torch.stack(samples)
    return torch.stack([sample.movedim(0, -1) for sample in samples]).movedim(-1, 1)


def worker_options(num_workers: int) -> dict[str, Any]:
    """Arguments of a ``DataLoader`` with that many worker processes, which outlive the epochs.

    The process may have started JAX, whose threads a plain fork can leave in deadlock; hence a fork server, or a fresh
    process where the system has none.
    """
    if num_workers == 0:
        return {"num_workers": 0}
    context = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    return {"num_workers": num_workers, "persistent_workers": True, "multiprocessing_context": context}


def permutation(length: int, *key: int) -> list[int]:
    """A random order of ``range(length)`` that the non-negative integers ``key`` fix for good.

    It comes from ``RandomState``, whose stream NumPy has frozen, so that splits and orders survive a new version.
    """
    stream = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(key)))
    return stream.permutation(length).tolist()


class EpochSampler(DistributedSampler[int]):
    """The indices of one rank in an order fixed by (seed, epoch), from ``start`` on.

    A ``DistributedSampler``, with a single replica too, so that Lightning sets its epoch and leaves it in place.
    All ranks cut the same permutation, so every rank gets the same number of samples and none is seen twice.

    Attributes:
        start: How many samples of the current epoch this rank has handed out; another epoch begins at 0.
    """

    def __init__(self, dataset: Samples, *, seed: int = 0, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(as_dataset(dataset), num_replicas=num_replicas, rank=rank, seed=seed, drop_last=True)
        self.samples, self.start = dataset, 0

    def __iter__(self) -> Iterator[int]:
        order = permutation(len(self.samples), self.seed, self.epoch)[: self.total_size]
        return iter(order[self.rank :: self.num_replicas][self.start :])

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0


class TrainingLoader(DataLoader[Tensor]):
    """A ``DataLoader`` that shuffles by (seed, epoch) and resumes inside an epoch with the very next batch.

    Lightning's fit loop saves ``state_dict()`` in every checkpoint and restores it. The state counts the batches that
    were handed out, not those that workers have prepared. Nothing here draws from torch's global random numbers.
    ``len()`` stays the number of batches of a whole epoch; the ragged last batch is dropped.

    A dataset is map-style and gives the same sample for the same index; random augmentation in it would not resume.
    Outside Lightning each ``for`` over the loader is one epoch, and the next ``for`` goes on with the next.

    Args:
        dataset: Map-style, of tensors (C, H, W) or (d,).
        batch_size: Samples per batch and rank.
        seed: Of the order; not negative.
        num_replicas: How many processes share the data.
        rank: Which of them this is.
        sampler: Replaces the order. Lightning gives one for ``overfit_batches``; the loader is then not resumable.
        **options: For ``torch.utils.data.DataLoader``.

    Examples:
        >>> import torch
        >>> from datamodules import TrainingLoader
        >>> loader = TrainingLoader(list(torch.arange(6.0)[:, None]), batch_size=2, seed=0)
        >>> epoch = torch.cat(list(loader))
        >>> len(loader), sorted(epoch.flatten().tolist())
        (3, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """

    def __init__(
        self,
        dataset: Samples,
        *,
        batch_size: int,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: Sampler[int] | None = None,
        **options: Any,
    ) -> None:
        if sampler is None:
            sampler = EpochSampler(dataset, seed=seed, num_replicas=num_replicas, rank=rank)
        self._resuming, self._samples, self._batch = False, dataset, batch_size
        self._seeds = torch.Generator()  # else torch's global one would be drawn from once per epoch
        super().__init__(
            as_dataset(dataset),
            sampler=sampler,
            **{
                "collate_fn": collate,
                **options,
                "batch_size": batch_size,
                "drop_last": True,
                "generator": self._seeds,
            },
        )

    def __iter__(self) -> Iterator[Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch promises its own class of iterators
        # A generator runs nothing before the first batch is asked for. Lightning makes the first iterator before it
        # tells the epoch, and workers start to prepare batches as soon as torch's iterator exists.
        sampler = self.sampler
        if not isinstance(sampler, EpochSampler):
            yield from super().__iter__()
            return
        interrupted = self._resuming and sampler.start + self._batch <= sampler.num_samples
        if sampler.start > 0 and not interrupted:
            sampler.set_epoch(sampler.epoch + 1)
        self._resuming = False
        self._seeds.manual_seed(int(np.random.SeedSequence((sampler.seed, sampler.epoch)).generate_state(1)[0]))
        for batch in super().__iter__():
            sampler.start += self._batch
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """The place in the data: the epoch, the batches handed out in it, and what the order depends on."""
        if not isinstance(self.sampler, EpochSampler):
            return {}
        return {
            "epoch": self.sampler.epoch,
            "batches": self.sampler.start // self._batch,
            "order": self._order(self.sampler),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes the next iteration go on where ``state_dict()`` was taken.

        That may have been another number of processes: as long as together they take as large batches, these hold the
        same samples.
        """
        if not isinstance(self.sampler, EpochSampler) or not state_dict:
            return
        order = self._order(self.sampler)
        if _of_all(state_dict["order"]) != _of_all(order):
            warnings.warn(
                f"The checkpoint's data were {state_dict['order']} and now are {order}: the rest of its epoch"
                " will not hold the batches that it would have held. Resume with the same data settings, or take this"
                " as a new run.",
                Advice,
                stacklevel=2,
            )
        self.sampler.set_epoch(state_dict["epoch"])
        self.sampler.start = state_dict["batches"] * self._batch
        self._resuming = True

    def _order(self, sampler: EpochSampler) -> dict[str, int]:
        return {
            "seed": sampler.seed,
            "samples": len(self._samples),
            "batch_size": self._batch,
            "num_replicas": sampler.num_replicas,
        }


def _of_all(order: dict[str, int]) -> tuple[int, int, int]:
    """What fixes the samples in batch k of all processes together."""
    return order["seed"], order["samples"], order["batch_size"] * order["num_replicas"]
