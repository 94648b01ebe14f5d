"""Distances of point sets through geomloss: optimal transport and the energy distance."""

from typing import Any

import torch
from torch import Tensor

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import PointQuality, in_double


class Sinkhorn(PointQuality):
    r"""``sinkhorn``, the Sinkhorn divergence: entropic optimal transport with its bias taken off, for the cost
    :math:`|x - y|^2 / 2`.

    It is 0 for equal sets and tends to half the squared Wasserstein distance as ``blur`` goes to 0. Computed in
    float64. Time and memory grow with the square of the number of samples: 500 take a second or two, for more than some
    thousands set ``num_samples``. Between two samples of one distribution it is far from 0: see the floor that
    validation logs.

    References:
        Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences", AISTATS 2019.

    Args:
        blur: Length below which details do not count, in the unit of the samples.
        scaling: Factor from one step of the annealing to the next, in (0, 1): nearer to 1 is slower and more exact.
        num_samples: Take at most so many samples of either kind, over all processes.

    Raises:
        ConfigError: If an argument is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import Sinkhorn
        >>> quality = Sinkhorn(blur=0.05, scaling=0.5)
        >>> quality.update(torch.zeros(3, 1), real=True)
        >>> quality.update(torch.full((2, 1), 4.0), real=False)
        >>> round(quality.compute()["sinkhorn"].item(), 2)  # half of the squared distance
        8.0
    """

    def __init__(self, *, blur: float = 0.001, scaling: float = 0.95, num_samples: int | None = None) -> None:
        super().__init__(num_samples=num_samples)
        number("blur", blur, positive=True)
        if not 0 < scaling < 1:
            raise ConfigError(f"'scaling' must lie between 0 and 1, got {scaling!r}.")
        self.blur, self.scaling = blur, scaling

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        from geomloss import SamplesLoss

        real, fake = in_double(real), in_double(fake)
        if bool((torch.cat([real, fake]) == real[0]).all()):
            return {"sinkhorn": real.new_zeros(())}  # geomloss would begin at the logarithm of their extent
        loss = SamplesLoss("sinkhorn", p=2, blur=self.blur, scaling=self.scaling, backend="tensorized")
        return {"sinkhorn": loss(fake, real)}


class EnergyDistance(PointQuality):
    r"""``energy_distance``: :math:`E|x - y| - \tfrac12 E|x - x'| - \tfrac12 E|y - y'|` for fakes x and reals y, in
    float64.

    It is half of what Székely and Rizzo, "Energy statistics", 2013, call by the name, as in geomloss; a pair of a
    sample with itself counts, so that equal sets are at 0.

    Args:
        num_samples: Take at most so many samples of either kind, over all processes.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import EnergyDistance
        >>> quality = EnergyDistance()
        >>> quality.update(torch.zeros(3, 1), real=True)
        >>> quality.update(torch.full((2, 1), 4.0), real=False)
        >>> quality.compute()["energy_distance"].item()
        4.0
    """

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        from geomloss import SamplesLoss

        loss = SamplesLoss("energy", kernel=_negative_distance, backend="tensorized")
        return {"energy_distance": loss(in_double(fake), in_double(real))}


def _negative_distance(x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """``-|x - y|`` of ``(B, N, d)`` and ``(B, M, d)``; geomloss's own is 1e-4 between equal points, not 0."""
    return -torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
