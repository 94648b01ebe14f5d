"""Whether a loss drives fakes towards higher density ratios at every score."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss

_POINTS = 4001


def is_monotone(loss: AdversarialLoss, lo: float = -10.0, hi: float = 10.0) -> bool:
    """Whether the generator's c moves a fake's score the way the discriminator moves those of reals, at all scores.

    Where it does, fakes climb the score of Vanilla's discriminator as a flow that lowers the KL divergence, whatever
    the shape of c (Yi, Zhu and Liu, ICML 2023). The way of the reals is that of b at the score 0, so that IPM, which
    scores reals low, counts like the others.

    Args:
        loss: The loss.
        lo: Lowest score that is looked at.
        hi: Highest score.

    Returns:
        Whether c' has the sign of b'(0) at 4001 scores from ``lo`` to ``hi``, in float64.

    Raises:
        ConfigError: If there is no score between ``lo`` and ``hi``.
    """
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise ConfigError(f"'lo' must be a number below 'hi', got lo={lo}, hi={hi}.")
    way = float(_slope(loss.b, torch.zeros(1, dtype=torch.float64)))
    slopes = _slope(loss.c, torch.linspace(lo, hi, _POINTS, dtype=torch.float64))
    return bool((slopes * math.copysign(1.0, way) > 0).all()) and way != 0


def is_increasing(function: Callable[[Tensor], Tensor], lo: float = -10.0, hi: float = 10.0) -> bool:
    """Whether a pointwise function's slope is positive at 4001 places from ``lo`` to ``hi``, in float64."""
    return bool((_slope(function, torch.linspace(lo, hi, _POINTS, dtype=torch.float64)) > 0).all())


def _slope(function: Callable[[Tensor], Tensor], scores: Tensor) -> Tensor:
    scores = scores.requires_grad_()
    value = function(scores)
    if not value.requires_grad:  # a constant
        return torch.zeros_like(scores)
    return torch.autograd.grad(value.sum(), scores)[0]
