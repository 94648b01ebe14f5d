"""What a discriminator that is kept remembers: a sum of kernels at the samples that it has seen."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class _Block:
    """Samples ``(N, ...)`` that came together, their dual weights ``(N,)``, and how much of the last is left."""

    points: Tensor
    weights: Tensor
    left: float


class Kept(nn.Module):
    """Points and dual weights of all fits so far, for ``f = sum_p w_p k(., p)``; part of checkpoints.

    Fakes that the decay has all but erased are forgotten. Reals are often the same samples again: then their weights
    add up, and their number does not grow.

    Args:
        remaining: What a fit leaves of the weights before it, at most 1.
        forget: Share of the first weight below which samples are dropped.
    """

    def __init__(self, remaining: float, forget: float):
        super().__init__()
        self.remaining, self.forget = remaining, forget
        self.changed = False  # whether another state was loaded
        self._fakes: list[_Block] = []
        self._reals: list[_Block] = []

    def __bool__(self) -> bool:
        return bool(self._fakes)

    def clear(self) -> None:
        """Forgets everything."""
        self._fakes, self._reals = [], []

    def add(self, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> None:
        """Takes the points and weights of a fit, after what was there has decayed by it."""
        for blocks in (self._fakes, self._reals):
            for block in blocks:
                block.weights = block.weights * self.remaining
                block.left *= self.remaining
        self._fakes = [block for block in self._fakes if block.left >= self.forget]
        self._reals = [block for block in self._reals if block.left >= self.forget]
        self._fakes.append(_Block(*fake, left=1.0))
        points, weights = real
        last = self._reals[-1] if self._reals else None
        if last is not None and last.points.shape == points.shape and torch.equal(last.points.to(points), points):
            last.weights, last.left = last.weights.to(weights) + weights, 1.0
        else:
            self._reals.append(_Block(points, weights, left=1.0))

    def expansion(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """All points ``(P, ...)`` and weights ``(P,)``; P is a power of two, so that few sizes are compiled for."""
        blocks = [*self._fakes, *self._reals]
        points, weights = (
            torch.cat([part.to(device) for part in parts])
            for parts in ([b.points for b in blocks], [b.weights for b in blocks])
        )
        missing = (1 << (len(points) - 1).bit_length()) - len(points)
        if not missing:
            return points, weights
        filling = points[:1].expand(missing, *points.shape[1:])
        return torch.cat([points, filling]), torch.cat([weights, weights.new_zeros(missing)])

    def get_extra_state(self) -> dict[str, Any]:
        kinds = {"fakes": self._fakes, "reals": self._reals}
        return {name: [(b.points, b.weights, b.left) for b in blocks] for name, blocks in kinds.items()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._fakes, self._reals = ([_Block(*block) for block in state[name]] for name in ("fakes", "reals"))
        self.changed = True

    def extra_repr(self) -> str:
        return f"remaining={self.remaining:.6g}, forget={self.forget:g}"
