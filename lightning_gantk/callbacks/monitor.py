"""Measurements at an interval: what every monitor shares."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from datamodules.loader import collate, permutation
from datamodules.samples import Samples, as_dataset, parted
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.training.random_states import isolated
from lightning_gantk.training.trainer import data_of, is_only_a_try

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN

_SEED = 7_411  # of latents and choices: the same at each measurement of each run
_BATCH = 500


class Monitor(Callback, ABC):
    """Measures something after the first generator step and then at an interval. One of your own has ``measure``.

    It draws from random numbers of its own and leaves training as it is. Of several processes the first measures, and
    the others wait for it.

    Args:
        every_n_steps: Generator steps from one measurement to the next.

    Attributes:
        latest: The values measured last, by name; empty before the first.

    Raises:
        ConfigError: If the interval is not positive.

    Examples:
        >>> import torch
        >>> from lightning_gantk.callbacks import Monitor
        >>> class Radius(Monitor):
        ...     def measure(self, trainer, gan, real):
        ...         return {"radius/real": real.norm(dim=1).mean().item()}
        >>> Radius(every_n_steps=10).measure(None, None, torch.tensor([[3.0, 4.0]]))
        {'radius/real': 5.0}
    """

    def __init__(self, every_n_steps: int = 500):
        whole("every_n_steps", every_n_steps, of=f"of {type(self).__name__}")
        self.every_n_steps = every_n_steps
        self.latest: dict[str, float] = {}
        self._measured = 0

    @abstractmethod
    def measure(self, trainer: Trainer, gan: "GAN", real: Tensor) -> dict[str, float]:
        """The values by name, as loggers are to see them.

        Args:
            trainer: The trainer.
            gan: The module in training.
            real: The samples of this step's batch, ``(N, ...)``.
        """

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        if step == self._measured or not (step == 1 or step % self.every_n_steps == 0):
            return
        self._measured = step  # while gradients are being accumulated the step stays the same
        if not trainer.is_global_zero or is_only_a_try(trainer):
            return
        real, _ = parted(batch)
        with isolated(_SEED), torch.no_grad(), torch.autocast(real.device.type, enabled=False):
            self.latest = self.measure(trainer, pl_module, real)
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, step)


def fixed_samples(gan: "GAN", count: int) -> Tensor:
    """Samples ``(count, ...)`` from latents that are always the same, in float32."""
    latent = gan.generator.fixed_latent(count, _SEED)
    return torch.cat([gan.sample(part) for part in latent.split(_BATCH)]).float()


def training_samples(trainer: Trainer, count: int | None) -> Iterator[Tensor]:
    """Batches of ``count`` training samples that are always the same, or of all."""
    return training_batches(_data(trainer), count)


def training_batches(data: Any, count: int | None) -> Iterator[Tensor]:
    """The same from a data module that is set up."""
    samples = data.train_dataset
    chosen = permutation(len(samples), _SEED)[:count]
    return iter(_loader(Subset(as_dataset(samples), chosen)))


def held_out_samples(trainer: Trainer, count: int) -> Tensor:
    """At most ``count`` held-out samples, always the same.

    Where a data module validates against its training samples, they are those of its reference, which are fresh there.
    """
    data = _data(trainer)
    fresh = data.val_dataset is data.train_dataset
    batches, found = iter(data.reference_dataloader() if fresh else _loader(data.val_dataset)), []
    while sum(map(len, found)) < count and (batch := next(batches, None)) is not None:
        found.append(batch)
    return torch.cat(found)[:count]


def _loader(samples: Samples) -> DataLoader[Tensor]:
    return DataLoader(as_dataset(samples), batch_size=_BATCH, collate_fn=collate, generator=torch.Generator())


def _data(trainer: Trainer) -> Any:
    data = data_of(trainer)
    if not hasattr(data, "train_dataset") or not hasattr(data, "val_dataset"):
        raise ConfigError(
            "A monitor of samples compares them with real ones and needs a data module with 'train_dataset' and "
            f"'val_dataset', such as those of datamodules; got {type(data).__name__}."
        )
    return data
