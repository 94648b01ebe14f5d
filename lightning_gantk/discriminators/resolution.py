"""Whether the arithmetic resolves the batches that a discriminator is fitted to: looked at now and then, said once."""

import math
import warnings
from typing import TYPE_CHECKING, Literal

from lightning_gantk.checks import whole
from lightning_gantk.errors import Advice

if TYPE_CHECKING:
    from lightning_gantk.kernels.dynamics.accuracy import Accuracy

_LIMITS = {"float32": 1e-4, "float64": 1e-8}  # errors of scores, over max sum |k w|, that are worth a warning
_GRADIENT_LIMIT = 1e-2  # the same for gradients, over themselves
_EARLY = 64  # the fit after which accuracy is looked at first: a look compiles programs of its own
_CAUSES = {"evaluation": "the kernel", "sensitivity": "the Gram matrix", "solver": "the solver"}


class Resolution:
    """When to look at the accuracy of a fit, and what is in doubt.

    Args:
        every: Fits between two looks, besides one after the 64th; 0 looks never.
        dtype: The arithmetic that is looked at.

    Attributes:
        accuracy: What the last look found; None before.

    Raises:
        ConfigError: If ``every`` is no whole number, or negative.
    """

    def __init__(self, every: int, dtype: Literal["float32", "float64"]):
        whole("check_every", every, 0)
        self.every, self._dtype = every, dtype
        self.accuracy: Accuracy | None = None
        self._fits, self._warned = 0, False

    def is_due(self) -> bool:
        """Counts a fit; whether it is one to look at."""
        self._fits += 1
        return self.every > 0 and (self._fits == _EARLY or self._fits % self.every == 0)

    @property
    def doubts(self) -> list[str]:
        """What the last look found too large, in words."""
        if self.accuracy is None:
            return []
        found, limit, doubts = self.accuracy, _LIMITS[self._dtype], []
        if not found.scores <= limit:
            sizes = {name: getattr(found, name) for name in _CAUSES}
            worst = max(sizes, key=lambda name: math.inf if math.isnan(sizes[name]) else sizes[name])
            doubts.append(
                f"scores may be wrong by {found.scores:.1e} of their largest sum |k w| (limit {limit:g}), most of it "
                f"by {_CAUSES[worst]}"
            )
        if not found.gradients <= _GRADIENT_LIMIT:
            doubts.append(f"gradients may be wrong by {found.gradients:.1e} of themselves (limit {_GRADIENT_LIMIT:g})")
        return doubts

    def found(self, accuracy: "Accuracy", setting: str) -> None:
        """Takes what a look found; warns, once, of what is in doubt, and says what helps.

        Args:
            accuracy: Of the fit that was due.
            setting: The kernel, loss and time, for the warning.
        """
        self.accuracy = accuracy
        if self._warned or not (doubts := self.doubts):
            return
        self._warned = True
        helps = "dtype: float64 helps, or" if self._dtype == "float32" else "What helps is"
        warnings.warn(
            f"{self._dtype} does not resolve this batch with {setting}: {'; '.join(doubts)}. {helps} a shorter time, "
            "or samples of a size near 1 without far outliers.",
            Advice,
            stacklevel=4,
        )
