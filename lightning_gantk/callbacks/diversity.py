"""How different samples are from each other."""

from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_gantk.callbacks.monitor import Monitor, fixed_samples, held_out_samples
from lightning_gantk.checks import whole

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN


class SampleDiversity(Monitor):
    r"""Diversity: whether samples differ from each other as real ones do, or have collapsed to few modes.

    Logged, of as many generated as held-out samples (``..._held_out``):

    - ``diversity/pairwise_distance``: the mean Euclidean distance of two different samples;
    - ``diversity/vendi``: the Vendi score, the effective number of different samples: :math:`\exp` of the entropy of
      the eigenvalues of S/n, with the similarities :math:`S_{ij} = \exp(-|x_i - x_j|^2 / (2 h^2))`, where h is half the
      median distance of two held-out samples.

    References:
        Friedman and Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", TMLR 2023.

    Args:
        every_n_steps: Generator steps from one measurement to the next.
        num_samples: How many samples of either kind, at most as many as are held out and as there are particles; the
            same number for figures that are to compare.

    Raises:
        ConfigError: If a number is not positive; in training, if there is no data module to compare with.

    Examples:
        >>> from lightning_gantk.callbacks import SampleDiversity
        >>> SampleDiversity(every_n_steps=100, num_samples=128).latest
        {}
    """

    def __init__(self, every_n_steps: int = 500, num_samples: int = 256):
        super().__init__(every_n_steps)
        whole("num_samples", num_samples, of="of SampleDiversity")
        self.num_samples = num_samples
        self._held_out: dict[str, float] = {}
        self._length, self._count = 0.0, 0  # h, and how many samples of either kind

    def measure(self, trainer: Trainer, gan: "GAN", real: Tensor) -> dict[str, float]:
        if not self._held_out:
            held_out, population = held_out_samples(trainer, self.num_samples), gan.generator.population()
            # As many of either: more samples look more diverse, and copies of particles less.
            self._count = len(held_out) if population is None else min(len(held_out), len(population))
            distances = _distances(held_out[: self._count].to(real.device))
            self._length = float(_off_diagonal(distances).median()) / 2
            found = self._figures(distances)
            self._held_out = {f"{name}_held_out": value for name, value in found.items()}
        return {**self._figures(_distances(fixed_samples(gan, self._count))), **self._held_out}

    def _figures(self, distances: Tensor) -> dict[str, float]:
        mean = float(_off_diagonal(distances).mean())
        return {"diversity/pairwise_distance": mean, "diversity/vendi": vendi(distances, self._length)}


def vendi(distances: Tensor, length: float) -> float:
    """The Vendi score of samples with these distances ``(n, n)`` under a Gaussian of that length: from 1 to n."""
    similarities = torch.exp(-((distances / max(length, 1e-12)) ** 2) / 2)
    shares = torch.linalg.eigvalsh(similarities / len(distances)).clamp(min=1e-300)
    return float(torch.exp(-(shares * shares.log()).sum()))


def _distances(samples: Tensor) -> Tensor:
    flat = samples.flatten(1).double()
    return torch.cdist(flat, flat).fill_diagonal_(0)


def _off_diagonal(distances: Tensor) -> Tensor:
    others = ~torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    return distances[others] if len(distances) > 1 else distances.flatten()
