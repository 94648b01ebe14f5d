"""What every source of data is to the rest of the framework."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torch.utils.data.distributed import DistributedSampler

from datamodules.labels import Labelled
from datamodules.loader import TrainingLoader, collate, permutation, worker_options
from datamodules.samples import Samples, as_dataset
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.lightning_internals import configuration_is_given


class DataModule(LightningDataModule, ABC):
    """Real samples, in three loaders: training, held out, and a reference drawn from training.

    A subclass says what a sample is (:attr:`sample_shape`) and where samples come from (:meth:`load`), and may download
    in Lightning's ``prepare_data``. Loaders, splits over processes and resumption are here and hold for any map-style
    dataset, in memory or on disk.

    Batches are plain float32 tensors: images (N, C, H, W) in [-1, 1], in channels-last memory; or vectors (N, d). With
    ``labels`` they are pairs of such a tensor and classes (N,), int64, which :meth:`load` leaves in ``train_labels``,
    ``val_labels`` and, where it leaves test samples, ``test_labels``. The
    held-out and reference loaders keep their ragged last batch. With several processes each gets the same number of
    held-out samples and none twice, so at most (processes - 1) of them are left out.

    Args:
        batch_size: Samples per batch and process.
        seed: Of whatever is drawn once: the split, the subset, the reference.
        order_seed: Of the order of training batches; ``seed`` where none is given. Vary it to repeat an experiment
            on the same split.
        num_workers: Worker processes per loader; 0 loads in the training process.
        labels: Whether batches carry the classes of their samples, for a generator with ``classes``.

    Attributes:
        train_dataset: The training samples, after ``setup()``.
        val_dataset: The held-out samples, after ``setup()``.
        test_dataset: Others, that no choice was made on, where :meth:`load` leaves some here; None where it does not.

    Raises:
        ConfigError: If a number is out of range, or (in ``setup()``) a batch does not fit in the data.

    Examples:
        >>> import torch
        >>> from datamodules import DataModule
        >>> class Segment(DataModule):
        ...     sample_shape = (1,)
        ...     def load(self):
        ...         points = torch.linspace(-1, 1, 20)[:, None]
        ...         return list(points[::2]), list(points[1::2])
        >>> data = Segment(batch_size=4)
        >>> data.setup("fit")
        >>> next(iter(data.train_dataloader())).shape
        torch.Size([4, 1])
    """

    train_dataset: Samples
    val_dataset: Samples
    test_dataset: Samples | None = None
    train_labels: Tensor | None = None
    val_labels: Tensor | None = None
    test_labels: Tensor | None = None

    def __init__(
        self,
        *,
        batch_size: int,
        seed: int = 0,
        order_seed: int | None = None,
        num_workers: int = 0,
        labels: bool = False,
    ) -> None:
        super().__init__()
        whole("batch_size", batch_size)
        whole("seed", seed, 0)
        whole("order_seed", order_seed, 0, or_none=True)
        whole("num_workers", num_workers, 0)
        # On the command line these are plain configuration; elsewhere an object, which a checkpoint should not hold.
        self.save_hyperparameters(ignore=() if configuration_is_given() else ("target",))
        self.batch_size = batch_size
        self.seed = seed
        self.order_seed = seed if order_seed is None else order_seed
        self.num_workers = num_workers
        self.labels = labels
        self._loaded = False

    @property
    @abstractmethod
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W) or (d,); known before any data are read."""

    @abstractmethod
    def load(self) -> tuple[Samples, Samples]:
        """Gives the training and the held-out samples: map-style datasets of float32 tensors of ``sample_shape``.

        Called once in every process. A dataset that is not in memory opens its files in ``__getitem__``, so that it
        can be sent to worker processes, and gives the same sample for the same index whenever it is asked.
        """

    def setup(self, stage: str | None = None) -> None:
        """Loads the datasets, once, and checks that a batch fits in them."""
        if self._loaded:
            return
        self.train_dataset, self.val_dataset = self.load()
        self._loaded = True
        num_replicas, _ = self._place()
        available = len(self.train_dataset) // num_replicas
        if self.batch_size > available:
            share = f" for each of {num_replicas} processes" if num_replicas > 1 else ""
            raise ConfigError(
                f"batch_size={self.batch_size} is larger than the data: there are {available} training samples{share}."
                f" Choose a batch_size of at most {available}, or more data."
            )

    def train_dataloader(self) -> TrainingLoader:
        """Shuffled training batches; see :class:`TrainingLoader` for the order and how it resumes."""
        num_replicas, rank = self._place()
        return TrainingLoader(
            self.training_samples(),
            batch_size=self.batch_size,
            seed=self.order_seed,
            num_replicas=num_replicas,
            rank=rank,
            **self._options(),
        )

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The held-out samples, in a fixed order."""
        return self._in_order(self._labelled(self.val_dataset, self.val_labels))

    def test_dataloader(self) -> DataLoader[Tensor]:
        """The samples held out for the end, in a fixed order; the held-out ones where the source has no others."""
        if self.test_dataset is None:
            return self.val_dataloader()
        return self._in_order(self._labelled(self.test_dataset, self.test_labels))

    def reference_dataloader(self) -> DataLoader[Tensor]:
        """Training samples, as many as are held out, for validation or for the end (or all, where there are fewer): a
        fixed random choice.

        Their distance to the held-out samples is the floor that a generator could reach.
        """
        length = len(self.train_dataset)
        wanted = max(len(self.val_dataset), 0 if self.test_dataset is None else len(self.test_dataset))
        return self._in_order(Subset(as_dataset(self.train_dataset), permutation(length, self.seed)[:wanted]))

    def training_samples(self) -> Any:
        """All of them, with their classes where batches are to carry these."""
        return self._labelled(self.train_dataset, self.train_labels)

    def _labelled(self, samples: Samples, labels: Tensor | None) -> Any:
        """The samples, with their classes where batches are to carry these."""
        if not self.labels:
            return samples
        if labels is None:
            raise ConfigError(f"{type(self).__name__} knows no classes of its samples: set labels to false.")
        return Labelled(samples, labels)

    def _in_order(self, samples: Samples) -> DataLoader[Tensor]:
        dataset = as_dataset(samples)
        num_replicas, rank = self._place()
        sampler = None
        if num_replicas > 1:  # Lightning's own sampler would repeat samples to fill up, and bias what is measured
            sampler = DistributedSampler(dataset, num_replicas=num_replicas, rank=rank, shuffle=False, drop_last=True)
        # torch draws the workers' seed at each pass; from this generator, so that validation leaves the global one be
        return DataLoader(
            dataset, batch_size=self.batch_size, sampler=sampler, generator=torch.Generator(), **self._options()
        )

    def _options(self) -> dict[str, Any]:
        return {"collate_fn": collate, "pin_memory": torch.cuda.is_available(), **worker_options(self.num_workers)}

    def _place(self) -> tuple[int, int]:
        """How many processes share the data, and which of them this is."""
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
