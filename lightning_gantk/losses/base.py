"""What an adversarial loss is: three scalar functions (a, b, c) of a raw score, the same for torch and JAX.

The discriminator maximises ``L(f) = mean_i a(f(x_i)) - mean_j b(f(y_j))`` over fake samples x and real samples y, and
the generator minimises ``mean_i c(f(g(z_i)))`` (Franceschi et al., ICML 2022, Eq. 1 to 3).

Sign convention: IPM (with its real half, ExternalIPM) and KALE score fakes HIGH and reals low, and their generators
lower the score of the fakes. The other losses push reals up (to +1 for LSGAN, above +1 for hinge) and fakes down.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal

from array_api_compat import array_namespace

Array = Any
"""A torch.Tensor or a jax.Array."""


def log_sigmoid(scores: Array) -> Array:
    """``log sigmoid(s)``, whose digits do not vanish at either end."""
    xp = array_namespace(scores)
    return -xp.logaddexp(xp.zeros_like(scores), -scores)


class AdversarialLoss(ABC):
    """A GAN loss. A loss of your own is this class with three short pointwise functions ``a``, ``b`` and ``c``.

    They are written with operators and the array API (``array_api_compat.array_namespace``), so that the finite
    discriminator calls them on torch tensors and the infinite one on JAX arrays; derivatives come from either library.

    Attributes:
        slopes: What is known of the derivatives a' and b' as functions of the score. "constant" and "affine" (with a
            and -b strictly concave) have closed forms in the infinite-width limit; so has "piecewise", constant
            between ``kinks``, with a and -b concave. "smooth" slopes, those of concave a and -b without kinks, and
            "any" are solved as an ODE; where slopes of "any" jump, scores are right to about 0.01.
        kinks: Scores at which a or b may have a kink, in any order; read where ``slopes`` is "piecewise".

    Examples:
        >>> from lightning_gantk.losses import AdversarialLoss
        >>> class Quartic(AdversarialLoss):
        ...     slopes = "smooth"
        ...     def a(self, scores): return -((1 + scores) ** 4)
        ...     def b(self, scores): return (1 - scores) ** 4
        ...     def c(self, scores): return -scores
        >>> Quartic().a(1.0)
        -16.0
    """

    slopes: Literal["constant", "affine", "piecewise", "smooth", "any"] = "any"
    kinks: tuple[float, ...] = ()

    @abstractmethod
    def a(self, scores: Array) -> Array:
        """What the discriminator maximises on fakes; scores of any shape, pointwise."""

    @abstractmethod
    def b(self, scores: Array) -> Array:
        """What the discriminator minimises on reals; scores of any shape, pointwise."""

    @abstractmethod
    def c(self, scores: Array) -> Array:
        """What the generator minimises on fakes; scores of any shape, pointwise."""

    def discriminator(self, real_scores: Array, fake_scores: Array) -> Array:
        """``L = mean a(fake) - mean b(real)``, which the discriminator maximises; scores (M,) and (N,), a scalar
        back.
        """
        return self.a(fake_scores).mean() - self.b(real_scores).mean()

    def generator(self, fake_scores: Array) -> Array:
        """``mean c(fake)``, which the generator minimises; scores (N,), a scalar back."""
        return self.c(fake_scores).mean()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"
