"""What a distribution of points is."""

import inspect
from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Target(ABC):
    """A distribution in d dimensions. One of your own implements ``dim`` and ``sample``.

    Attributes:
        modes: Centres of its modes ``(K, d)``, where it has any; else None.
        mode_std: Standard deviation of a mode around its centre, in each coordinate; None where there is none.

    Examples:
        >>> import torch
        >>> from datamodules.targets import Target
        >>> class Diagonal(Target):
        ...     dim = 2
        ...     def sample(self, n, generator):
        ...         return torch.rand(n, 1, generator=generator).expand(n, 2).clone()
        >>> Diagonal().sample(3, torch.Generator()).shape
        torch.Size([3, 2])
    """

    modes: Tensor | None = None
    mode_std: float | None = None

    @property
    @abstractmethod
    def dim(self) -> int:
        """Number of coordinates d; known before anything is read or fetched."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws ``n`` points, float32 ``(n, d)``, from random numbers of ``generator`` (on the CPU) alone."""

    def prepare(self) -> None:
        """Fetches what ``sample`` needs and is not there; called in one process per machine."""

    def __repr__(self) -> str:
        given = {name: getattr(self, name, None) for name in inspect.signature(type(self)).parameters}
        shown = {name: len(value) if isinstance(value, Tensor) else value for name, value in given.items()}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
