"""Another loss, with a generator that moves the discriminator's own objective."""

from lightning_gantk.losses.base import AdversarialLoss, Array


class Saddle(AdversarialLoss):
    """Another loss with c = a: generator and discriminator move the same objective, one down and one up.

    Where the discriminator is the best one of a penalised objective (``NTKDiscriminator(solution="ridge")``) the
    generator then follows the gradient of that best value, by Danskin's theorem, though f is held fixed.

    Args:
        loss: Gives a and b.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import LSGAN, Saddle
        >>> loss, scores = Saddle(LSGAN()), torch.tensor([0.5])
        >>> torch.equal(loss.c(scores), loss.a(scores))
        True
    """

    def __init__(self, loss: AdversarialLoss):
        self.loss = loss
        self.slopes, self.kinks = loss.slopes, loss.kinks

    def a(self, scores: Array) -> Array:
        return self.loss.a(scores)

    def b(self, scores: Array) -> Array:
        return self.loss.b(scores)

    def c(self, scores: Array) -> Array:
        return self.loss.a(scores)

    def __repr__(self) -> str:
        return f"Saddle({self.loss!r})"
