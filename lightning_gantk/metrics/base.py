"""What a measure of quality is to validation, and the two ways to make one."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.processes import gathered, processes


class Quality(nn.Module, ABC):
    """Compares generated samples with real ones. ``GAN(quality=...)`` takes any; ``Combined`` joins several.

    Real samples are given once and kept: ``reset()`` forgets the generated ones alone. Nothing of it goes into
    checkpoints.

    Examples:
        >>> from lightning_gantk.metrics import ModeCoverage, Quality, SampleQuality, Sinkhorn
        >>> all(issubclass(one, Quality) for one in (ModeCoverage, SampleQuality, Sinkhorn))
        True
    """

    @property
    @abstractmethod
    def has_real(self) -> bool:
        """Whether real samples have been given."""

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Checks that samples of shape ``(C, H, W)`` or ``(d,)`` fit and loads what is needed, before training.

        Raises:
            ConfigError: If they do not fit, or something cannot be loaded.
        """

    def attach(self, data: Any) -> None:
        """Takes from a data module what it knows of its distribution, such as ``modes``; before training.

        Raises:
            ConfigError: If something that is needed is not known.
        """

    @abstractmethod
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds a batch of samples ``(N, ...)``.

        Raises:
            TrainingDiverged: If a sample holds a NaN or an infinity.
        """

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """The values by name, scalars; in a distributed run over the samples of all processes, which must all call it.

        Raises:
            RuntimeError: If there are too few samples.
        """

    @abstractmethod
    def reset(self, *, real: bool = False) -> None:
        """Forgets the generated samples; with ``real=True`` the real ones too."""


class Combined(Quality):
    """Several measures side by side.

    Args:
        metrics: Measures whose values have different names.

    Raises:
        ConfigError: If there is none; from ``compute``: if two have a value of the same name.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import Combined, EnergyDistance, NearestReal
        >>> quality, points = Combined([EnergyDistance(), NearestReal()]), torch.eye(3)
        >>> quality.update(points, real=True)
        >>> quality.update(points, real=False)
        >>> sorted(quality.compute())
        ['energy_distance', 'missing_entropy', 'nearest_cosine_distance', 'reals_found']
    """

    def __init__(self, metrics: list[Quality]) -> None:
        super().__init__()
        if not metrics:
            raise ConfigError("'metrics' must hold at least one measure of quality, got none.")
        self.metrics = nn.ModuleList(metrics)
        self._all = tuple(metrics)  # of a known type, which torch's list has not

    @property
    def has_real(self) -> bool:
        return all(metric.has_real for metric in self._all)

    def build(self, in_shape: tuple[int, ...]) -> None:
        for metric in self._all:
            metric.build(in_shape)

    def attach(self, data: Any) -> None:
        for metric in self._all:
            metric.attach(data)

    def update(self, samples: Tensor, *, real: bool) -> None:
        for metric in self._all:
            metric.update(samples, real=real)

    def compute(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for metric in self._all:
            values = metric.compute()
            if twice := found.keys() & values.keys():
                raise ConfigError(f"Two measures of quality give a value named {min(twice)!r}: take one of them out.")
            found |= values
        return found

    def reset(self, *, real: bool = False) -> None:
        for metric in self._all:
            metric.reset(real=real)


class PointQuality(Quality):
    """A measure that looks at all samples together. One of your own implements ``measure``.

    Args:
        num_samples: Take at most so many samples of either kind, over all processes; all where none is given.

    Raises:
        ConfigError: If ``num_samples`` is not positive.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import PointQuality
        >>> class MeanDistance(PointQuality):
        ...     def measure(self, real, fake):
        ...         return {"mean_distance": (real.mean(0) - fake.mean(0)).norm()}
        >>> quality = MeanDistance()
        >>> quality.update(torch.zeros(4, 2), real=True)
        >>> quality.update(torch.tensor([[3.0, 4.0]]), real=False)
        >>> quality.compute()
        {'mean_distance': tensor(5.)}
    """

    def __init__(self, *, num_samples: int | None = None) -> None:
        super().__init__()
        whole("num_samples", num_samples, or_none=True)
        self.num_samples = num_samples
        self._kept: dict[bool, list[Tensor]] = {True: [], False: []}  # by `real`

    @abstractmethod
    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The values by name from all real samples ``(M, ...)`` and generated ones ``(N, ...)``."""

    @property
    def has_real(self) -> bool:
        return bool(self._kept[True])

    def update(self, samples: Tensor, *, real: bool) -> None:
        kept = self._kept[real]
        if self.num_samples is not None:
            samples = samples[: own_share(self.num_samples, sum(map(len, kept)))]
        if len(samples) == 0:
            return
        refuse_nan(samples, real=real)
        with torch.inference_mode(False):
            kept.append(samples.detach().clone())

    def compute(self) -> dict[str, Tensor]:
        if not self._kept[True] or not self._kept[False]:
            raise RuntimeError(f"{type(self).__name__} needs real and generated samples; give both to update().")
        with torch.inference_mode(False), torch.no_grad():
            return self.measure(*(gathered(torch.cat(self._kept[real])) for real in (True, False)))

    def reset(self, *, real: bool = False) -> None:
        self._kept = {True: [] if real else self._kept[True], False: []}


def own_share(most: int, taken: int) -> int:
    """How many samples more this process takes, of at most so many over all processes, after those it has taken."""
    return max(0, max(1, most // processes()) - taken)


def refuse_nan(samples: Tensor, *, real: bool) -> None:
    """Raises TrainingDiverged where samples ``(N, ...)`` hold a NaN or an infinity."""
    if not samples.isfinite().all():
        kind = "real" if real else "generated"
        raise TrainingDiverged(f"NaN or infinity in the {kind} samples of which the quality is to be measured")


def in_double(samples: Tensor) -> Tensor:
    """The samples as vectors ``(N, d)`` in float64, on the CPU where the device has none."""
    samples = samples.cpu() if samples.device.type == "mps" else samples
    return samples.reshape(len(samples), math.prod(samples.shape[1:])).double()
