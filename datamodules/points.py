"""Points in few dimensions: a finite set that stays, or fresh ones for ever."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.base import DataModule
from datamodules.endless import EndlessLoader
from datamodules.loader import permutation
from datamodules.targets.base import Target
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

_TRAINING, _HELD_OUT, _REFERENCE, _ENDLESS = range(4)  # streams of random numbers


class PointsDataModule(DataModule):
    """Points drawn from a target distribution.

    With ``num_samples`` they are drawn once, and by default all of them are one batch, in the same order at each step:
    the setting of the paper's synthetic experiments. Without, every batch is fresh. Either way batch k of a run depends
    on the settings and k alone, so that a run resumes exactly.

    Validation is against the training points themselves unless ``val_size`` says otherwise: what an infinitely long
    flow of particles reaches is the training points, and only the distance to them tells how near it came. The floor
    is then that of a fresh sample of as many points, and can be passed.

    Args:
        target: The distribution.
        num_samples: Size of the finite training set; None for fresh points at every step.
        batch_size: Points per batch and process; all of a finite training set, or 500, where none is given.
        val_size: Fresh points that are held out; None measures against the training points, or against 1000 held-out
            ones where those have no end.
        epoch_length: Batches in what Lightning takes for an epoch.
        seed: Of the points.
        order_seed: Of the choice of batches of a finite set, and of the fresh points of endless ones; ``seed`` where
            none is given.

    Attributes:
        modes: Centres of the target's modes ``(K, d)``; None where it has none.
        mode_std: Their standard deviation; None where there is none.

    Raises:
        ConfigError: If a number is out of range, or (in ``setup()``) a batch does not fit in the data.

    Examples:
        >>> from datamodules import PointsDataModule
        >>> from datamodules.targets import GaussianRing
        >>> data = PointsDataModule(GaussianRing(modes=8), num_samples=64, batch_size=16)
        >>> data.setup("fit")
        >>> next(iter(data.train_dataloader())).shape
        torch.Size([16, 2])
    """

    def __init__(
        self,
        target: Target,
        *,
        num_samples: int | None = 500,
        batch_size: int | None = None,
        val_size: int | None = None,
        epoch_length: int = 1000,
        seed: int = 0,
        order_seed: int | None = None,
    ) -> None:
        whole("num_samples", num_samples, or_none=True)
        whole("val_size", val_size, 2, or_none=True)
        whole("epoch_length", epoch_length)
        if batch_size is None:
            batch_size = num_samples or 500
        super().__init__(batch_size=batch_size, seed=seed, order_seed=order_seed)
        self.target = target
        self.num_samples = num_samples
        self.val_size = val_size
        self.epoch_length = epoch_length
        self._pass: tuple[int, list[int]] = (-1, [])  # through a finite set, and its order

    @property
    def sample_shape(self) -> tuple[int]:
        return (self.target.dim,)

    @property
    def modes(self) -> Tensor | None:
        return self.target.modes

    @property
    def mode_std(self) -> float | None:
        return self.target.mode_std

    def prepare_data(self) -> None:
        """Fetches what the target needs."""
        self.target.prepare()

    def load(self) -> tuple[Tensor, Tensor]:
        held_out = None if self.val_size is None else self._draw(self.val_size, _HELD_OUT)
        if self.num_samples is None:
            held_out = self._draw(1000, _HELD_OUT) if held_out is None else held_out
            return self._draw(max(len(held_out), self.batch_size * self._place()[0]), _TRAINING), held_out
        self._finite = training = self._draw(self.num_samples, _TRAINING)
        return training, training if held_out is None else held_out

    def train_dataloader(self) -> EndlessLoader:  # pyright: ignore[reportIncompatibleMethodOverride]  # Lightning takes any iterable
        """Training batches: ``epoch_length`` of them an epoch, going on from one epoch to the next.

        Raises:
            ConfigError: If the trainer would ask for them anew, from the first batch on, every few epochs.
        """
        anew = getattr(self.trainer, "reload_dataloaders_every_n_epochs", 0)  # an attribute without a declaration
        if anew:
            raise ConfigError(
                "These points go on from epoch to epoch, and a loader made anew begins with the first batch: leave "
                f"trainer.reload_dataloaders_every_n_epochs at 0, not {anew}."
            )
        batch = self._fresh_batch if self.num_samples is None else self._finite_batch
        return EndlessLoader(batch, length=self.epoch_length)

    def reference_dataloader(self) -> DataLoader[Tensor]:
        """Fresh points, as many as validation measures against."""
        return self._in_order(self._draw(len(self.val_dataset), _REFERENCE))

    def _draw(self, n: int, *key: int, seed: int | None = None) -> Tensor:
        entropy = np.random.SeedSequence((self.seed if seed is None else seed, *key))
        return self.target.sample(n, torch.Generator().manual_seed(int(entropy.generate_state(1)[0])))

    def _fresh_batch(self, k: int) -> Tensor:
        processes, rank = self._place()
        everybody = self._draw(self.batch_size * processes, _ENDLESS, 0, k, seed=self.order_seed)
        return everybody[rank * self.batch_size : (rank + 1) * self.batch_size]

    def _finite_batch(self, k: int) -> Tensor:
        """Batch k of one pass after the other, each in an order of its own; the ragged end of a pass is left out."""
        processes, rank = self._place()
        if processes == 1 and self.batch_size == len(self._finite):
            return self._finite
        in_a_pass = len(self._finite) // processes // self.batch_size
        number, slot = divmod(k, in_a_pass)
        if number != self._pass[0]:
            self._pass = (number, permutation(len(self._finite), self.order_seed, number)[rank::processes])
        return self._finite[self._pass[1][slot * self.batch_size : (slot + 1) * self.batch_size]]
