"""Which samples of a batch stand for all of it, and whether they do."""

import warnings
from typing import Any

import numpy as np
import torch

from lightning_gantk.errors import Advice, ConfigError

LOOKS = 16  # fakes at which gradients are compared with those of the kernel itself
_LIMIT = 0.1  # of that error, before there is a warning


class Landmarks:
    """Draws landmarks anew for each fit, from torch's global generator, as all random numbers of a run are drawn: it
    is part of checkpoints, and the same in all processes.

    Args:
        count: R.

    Raises:
        ConfigError: If it is no whole number, or below 2.
    """

    def __init__(self, count: int):
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise ConfigError(
                f"'features' must be a whole number of at least 2, landmarks among reals and fakes, got {count!r}."
            )
        self.count = count
        self._error: Any = None  # a scalar of JAX, perhaps still to come
        self._warned = False

    def draw(self, fakes: int, reals: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Indices of fakes and of reals, as many of either as is their share of the batch and at least one; None where
        all samples would be landmarks, and training on them is exact.
        """
        if self.count >= fakes + reals:
            self._error = None
            return None
        of_fakes = min(max(round(self.count * fakes / (fakes + reals)), 1, self.count - reals), self.count - 1, fakes)
        drawn = torch.randperm(fakes)[:of_fakes], torch.randperm(reals)[: self.count - of_fakes]
        return drawn[0].numpy(), drawn[1].numpy()

    @staticmethod
    def looks(fakes: int) -> np.ndarray:
        """The numbers of the fakes to look at, spread evenly, some of them twice where they are fewer."""
        return np.linspace(0, fakes - 1, LOOKS).astype(int)

    def found(self, error: Any) -> None:
        """Takes the error of a fit, a scalar of JAX."""
        self._error = error

    @property
    def error(self) -> float:
        """Of the last fit, of gradients at ``LOOKS`` fakes over themselves; 0 where it was exact. Waits for it; warns,
        once, where it is above a tenth.
        """
        error = 0.0 if self._error is None else float(self._error)
        if not self._warned and not error <= _LIMIT:
            self._warned = True
            warnings.warn(
                f"{self.count} features do not resolve this batch: gradients are wrong by {error:.0%} of themselves at "
                f"{LOOKS} fakes (limit {_LIMIT:.0%}). More 'features' help, or none, which is exact.",
                Advice,
                stacklevel=3,
            )
        return error
