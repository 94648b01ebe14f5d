"""The hinge loss."""

from array_api_compat import array_namespace

from lightning_gantk.losses.base import AdversarialLoss, Array


class Hinge(AdversarialLoss):
    """Hinge loss (Lim and Ye, 2017; Miyato et al., 2018).

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import Hinge
        >>> Hinge().a(torch.tensor([-2.0, 0.0]))  # a fake below -1 is far enough
        tensor([-0., -1.])
    """

    slopes = "piecewise"
    kinks = (-1.0, 1.0)

    def a(self, scores: Array) -> Array:
        return -_positive_part(1 + scores)

    def b(self, scores: Array) -> Array:
        return _positive_part(1 - scores)

    def c(self, scores: Array) -> Array:
        return -scores


def _positive_part(scores: Array) -> Array:
    xp = array_namespace(scores)
    return xp.maximum(scores, xp.zeros_like(scores))
