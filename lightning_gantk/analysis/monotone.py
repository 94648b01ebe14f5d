"""Whether a loss drives fakes towards higher density ratios at every score."""

import math

import torch

from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.losses.slopes import POINTS, slope


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
    way = float(slope(loss.b, torch.zeros(1, dtype=torch.float64)))
    slopes = slope(loss.c, torch.linspace(lo, hi, POINTS, dtype=torch.float64))
    return bool((slopes * math.copysign(1.0, way) > 0).all()) and way != 0
