"""The discriminator's half of the losses whose score estimates a log density ratio."""

from lightning_gantk.losses.base import AdversarialLoss, Array, log_sigmoid


class LikelihoodRatio(AdversarialLoss):
    """Cross entropy: the best discriminator is log(p_real / p_fake). One of your own adds ``c``."""

    slopes = "smooth"

    def a(self, scores: Array) -> Array:
        return log_sigmoid(-scores)

    def b(self, scores: Array) -> Array:
        return -log_sigmoid(scores)
