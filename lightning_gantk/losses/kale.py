"""The Kullback-Leibler divergence in its dual form."""

from array_api_compat import array_namespace

from lightning_gantk.losses.base import AdversarialLoss, Array


class KALE(AdversarialLoss):
    """The Kullback-Leibler divergence in its dual form, ``E_fake s - E_real (e^s - 1)``, with c = a = s.

    With ``NTKDiscriminator(solution="ridge")`` it is the KL approximate lower bound estimator (Glaser, Arbel and
    Gretton, NeurIPS 2021) but for their factor 1 + lambda, and the generator follows its very gradient. Scores fakes
    HIGH and reals low, as IPM does.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import KALE
        >>> KALE().discriminator(torch.tensor([0.0]), torch.tensor([0.0])).item()
        0.0
    """

    slopes = "smooth"

    def a(self, scores: Array) -> Array:
        return scores

    def b(self, scores: Array) -> Array:
        return array_namespace(scores).expm1(scores)

    def c(self, scores: Array) -> Array:
        return scores
