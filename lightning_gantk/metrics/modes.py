"""How many modes are found, and how many samples belong to one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import PointQuality, in_double

_WITHIN = 3.0  # standard deviations of a mode


class ModeCoverage(PointQuality):
    """``modes_covered``, the number of modes with a sample within 3 standard deviations, and ``in_modes``, the share of
    samples that lie so near to one.

    A mode that is hit once by 500 samples is hardly covered: ``least_share`` asks for more. Of a mode's own points a
    share of 1 - exp(-9/2) = 0.989 lies within 3 standard deviations in 2-D, less in more dimensions.

    Args:
        modes: Centres ``(K, d)``; those of the data module where none are given.
        mode_std: Standard deviation of a mode in each coordinate; that of the data module where none is given.
        least_share: A mode counts as covered with so large a share of all samples around it, in units of 1/K: 0 asks
            for one sample, 0.5 for half of what an even spread over the modes would give it.
        num_samples: Take at most so many samples of either kind, over all processes.

    Raises:
        ConfigError: If an argument is out of range; from ``attach`` and ``compute``: if the modes are not known.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import ModeCoverage
        >>> quality = ModeCoverage(modes=[[0.0], [5.0]], mode_std=0.5)
        >>> quality.update(torch.zeros(4, 1), real=True)
        >>> quality.update(torch.tensor([[0.1], [0.2], [2.5], [-0.1]]), real=False)
        >>> {name: value.item() for name, value in quality.compute().items()}
        {'modes_covered': 1.0, 'in_modes': 0.75}
    """

    def __init__(
        self,
        modes: Sequence[Sequence[float]] | None = None,
        mode_std: float | None = None,
        *,
        least_share: float = 0.0,
        num_samples: int | None = None,
    ) -> None:
        super().__init__(num_samples=num_samples)
        if mode_std is not None and not mode_std > 0:
            raise ConfigError(f"'mode_std' must be positive, got {mode_std!r}.")
        if not 0 <= least_share <= 1:
            raise ConfigError(f"'least_share' must lie in [0, 1], got {least_share!r}.")
        self.modes = None if modes is None else torch.as_tensor(modes, dtype=torch.float64)
        if self.modes is not None and self.modes.ndim != 2:
            raise ConfigError(f"'modes' must be a list of points (K, d), got shape {tuple(self.modes.shape)}.")
        self.mode_std, self.least_share = mode_std, least_share

    def attach(self, data: Any) -> None:
        if self.modes is None and (modes := getattr(data, "modes", None)) is not None:
            self.modes = torch.as_tensor(modes, dtype=torch.float64)
        if self.mode_std is None:
            self.mode_std = getattr(data, "mode_std", None)
        self._known()

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        modes, mode_std = self._known()
        points = in_double(fake)
        distance, mode = torch.cdist(points, modes.to(points.device)).min(dim=1)
        near = distance <= _WITHIN * mode_std
        counts = torch.bincount(mode[near], minlength=len(modes))
        least = max(1.0, self.least_share * len(points) / len(modes))
        return {"modes_covered": (counts >= least).sum().double(), "in_modes": near.double().mean()}

    def _known(self) -> tuple[Tensor, float]:
        if self.modes is None or not self.mode_std:
            raise ConfigError(
                "The coverage of modes needs to know them, and these data have none, or none of a positive width: give "
                "'modes' and 'mode_std' to ModeCoverage, or take another measure, such as --model.quality "
                "lightning_gantk.metrics.EnergyDistance."
            )
        return self.modes, self.mode_std
