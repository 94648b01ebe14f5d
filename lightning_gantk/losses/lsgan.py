"""Least squares."""

from lightning_gantk.losses.base import AdversarialLoss, Array


class LSGAN(AdversarialLoss):
    """Least squares (Mao et al., 2017).

    Args:
        real: Target of the discriminator on reals.
        fake: Its target on fakes.
        generator: The generator's target on fakes.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import LSGAN
        >>> LSGAN().discriminator(torch.tensor([1.0]), torch.tensor([-1.0])).item()  # the best there is
        0.0
        >>> LSGAN(real=1.0, fake=0.0, generator=1.0).generator(torch.tensor([0.5])).item()
        0.25
    """

    slopes = "affine"

    def __init__(self, real: float = 1.0, fake: float = -1.0, generator: float = 0.0):
        self.targets = real, fake, generator  # `generator` is a method already

    def a(self, scores: Array) -> Array:
        return -((scores - self.targets[1]) ** 2)

    def b(self, scores: Array) -> Array:
        return (scores - self.targets[0]) ** 2

    def c(self, scores: Array) -> Array:
        return (scores - self.targets[2]) ** 2

    def __repr__(self) -> str:
        real, fake, generator = self.targets
        usual = self.targets == (1, -1, 0)
        return "LSGAN()" if usual else f"LSGAN(real={real}, fake={fake}, generator={generator})"
