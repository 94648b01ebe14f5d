"""Whether samples are copies of training samples."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torchvision.utils import make_grid

from lightning_gantk.callbacks.monitor import Monitor, fixed_samples, held_out_samples, training_samples
from lightning_gantk.callbacks.samples import enlarged
from lightning_gantk.callbacks.show import show
from lightning_gantk.checks import whole

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN

_SHOWN = 8


class NearestReal(Monitor):
    """Memorisation: distances of samples to the nearest training sample, against those of held-out samples.

    Distances are Euclidean, between the samples themselves. Logged:

    - ``memorisation/fake_to_train`` and ``memorisation/held_out_to_train``: mean distances to the nearest training
      sample;
    - ``memorisation/ratio``: the first by the second. Near 1 samples are as new as held-out ones; near 0 they are
      copies. Blurred images can lie below 1 without being copies: look at the pairs;
    - of images, in loggers that take pictures, ``memorisation/pairs``: the samples that lie nearest to a training
      sample, and below them that training sample.

    Args:
        every_n_steps: Generator steps from one measurement to the next.
        num_samples: How many samples, generated and held out.
        num_train: Compare with at most so many training samples, always the same; with all where None is given.

    Raises:
        ConfigError: If a number is not positive; in training, if there is no data module to compare with.

    Examples:
        >>> from lightning_gantk.callbacks import NearestReal
        >>> NearestReal(every_n_steps=1000, num_train=None).num_train is None  # all training samples
        True
    """

    def __init__(self, every_n_steps: int = 500, num_samples: int = 256, num_train: int | None = 10_000):
        super().__init__(every_n_steps)
        whole("num_samples", num_samples, of="of NearestReal")
        whole("num_train", num_train, of="of NearestReal", or_none=True)
        self.num_samples, self.num_train = num_samples, num_train
        self._held_out: float | None = None

    def measure(self, trainer: Trainer, gan: "GAN", real: Tensor) -> dict[str, float]:
        if self._held_out is None:
            held_out = held_out_samples(trainer, self.num_samples).to(real.device)
            distances, _ = nearest(held_out, training_samples(trainer, self.num_train))
            self._held_out = float(distances.mean())
        fake = fixed_samples(gan, self.num_samples)
        distances, neighbours = nearest(fake, training_samples(trainer, self.num_train))
        self._show(trainer, fake, distances, neighbours)
        found = float(distances.mean())
        values = {"memorisation/fake_to_train": found, "memorisation/held_out_to_train": self._held_out}
        return {**values, "memorisation/ratio": found / self._held_out} if self._held_out else values

    @staticmethod
    def _show(trainer: Trainer, fake: Tensor, distances: Tensor, neighbours: Tensor) -> None:
        if fake.ndim != 4 or fake.shape[1] not in (1, 3):
            return
        first = distances.argsort()[:_SHOWN]
        pairs = torch.cat([fake[first], neighbours[first]]).cpu()
        grid = enlarged(make_grid(pairs, nrow=len(first), normalize=True, value_range=(-1, 1), pad_value=1.0))
        show(trainer, "memorisation/pairs", grid, trainer.global_step)


def nearest(samples: Tensor, others: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The nearest of other samples, which come in batches.

    Args:
        samples: ``(N, ...)``.
        others: Batches ``(M, ...)`` on any device; one of them is in memory at a time.

    Returns:
        Euclidean distances ``(N,)``, float64, and the nearest ones ``(N, ...)``.
    """
    # In float64: a copy is to be at 0, and distances come from differences of squares.
    flat = samples.flatten(1).double()
    best, found = flat.new_full((len(flat),), float("inf")), torch.empty_like(samples)
    for batch in others:
        batch = batch.to(samples.device)
        distances, index = torch.cdist(flat, batch.flatten(1).double()).min(1)
        nearer = distances < best
        best = torch.where(nearer, distances, best)
        found[nearer] = batch[index[nearer]].to(found.dtype)
    return best, found
