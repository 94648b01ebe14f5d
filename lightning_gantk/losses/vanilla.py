"""The original GAN loss: cross entropy."""

from lightning_gantk.losses.base import Array, log_sigmoid
from lightning_gantk.losses.likelihood import LikelihoodRatio


class Vanilla(LikelihoodRatio):
    """The original GAN loss (Goodfellow et al., 2014) on raw scores (logits).

    Args:
        saturating: False for the generator's -log sigmoid(s), True for the original log sigmoid(-s).

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import Vanilla
        >>> round(Vanilla().generator(torch.zeros(4)).item(), 4)  # log 2
        0.6931
    """

    def __init__(self, saturating: bool = False):
        self.saturating = saturating

    def c(self, scores: Array) -> Array:
        return log_sigmoid(-scores) if self.saturating else -log_sigmoid(scores)
