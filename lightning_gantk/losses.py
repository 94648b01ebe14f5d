"""Adversarial losses: three scalar functions (a, b, c) of a raw score, the same for torch and JAX.

The discriminator maximises ``L(f) = mean_i a(f(x_i)) - mean_j b(f(y_j))`` over fake samples x and real samples y, and
the generator minimises ``mean_i c(f(g(z_i)))`` (Franceschi et al., ICML 2022, Eq. 1 to 3).

Sign convention: IPM (with its real half, ExternalIPM), and only IPM, scores fakes HIGH and reals low, and its generator
lowers the score of the fakes.
The other losses push reals up (to +1 for LSGAN, above +1 for hinge) and fakes down.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from array_api_compat import array_namespace

Array = Any  # a torch.Tensor or a jax.Array


def _log_sigmoid(scores: Array) -> Array:
    xp = array_namespace(scores)
    return -xp.logaddexp(xp.zeros_like(scores), -scores)


def _positive_part(scores: Array) -> Array:
    xp = array_namespace(scores)
    return xp.maximum(scores, xp.zeros_like(scores))


class AdversarialLoss(ABC):
    """A GAN loss. A loss of your own is this class with three short pointwise functions ``a``, ``b`` and ``c``.

    They are written with operators and the array API (``array_api_compat.array_namespace``), so that the finite
    discriminator calls them on torch tensors and the infinite one on JAX arrays; derivatives come from either library.

    Attributes:
        slopes: What is known of the derivatives a' and b' as functions of the score. "constant" and "affine" (with a
            and -b strictly concave) have closed forms in the infinite-width limit, "any" is solved as an ODE.
    """

    slopes: ClassVar[Literal["constant", "affine", "any"]] = "any"

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


class IPM(AdversarialLoss):
    """Integral probability metric: a = b = c = s (Arjovsky et al., 2017, without the Lipschitz constraint).

    In the infinite-width limit L(f_t) = t MMD_k^2. Scores fakes HIGH and reals low, unlike every other loss.
    """

    slopes = "constant"

    def a(self, scores: Array) -> Array:
        return scores

    def b(self, scores: Array) -> Array:
        return scores

    def c(self, scores: Array) -> Array:
        return scores


class ExternalIPM(AdversarialLoss):
    """The real half of IPM: a = 0, b = c = s. Fakes are drawn to the real samples and do not push each other apart.

    In the infinite-width limit f_t(x) = -t mean_j k(x, y_j), the external potential of the fakes, taken as particles.
    Scores reals low, as IPM does.
    """

    slopes = "constant"

    def a(self, scores: Array) -> Array:
        return array_namespace(scores).zeros_like(scores)

    def b(self, scores: Array) -> Array:
        return scores

    def c(self, scores: Array) -> Array:
        return scores


class LSGAN(AdversarialLoss):
    """Least squares (Mao et al., 2017) with targets +1 on reals and -1 on fakes, 0 for the generator."""

    slopes = "affine"

    def a(self, scores: Array) -> Array:
        return -((scores + 1) ** 2)

    def b(self, scores: Array) -> Array:
        return (scores - 1) ** 2

    def c(self, scores: Array) -> Array:
        return scores**2


class Vanilla(AdversarialLoss):
    """The original GAN loss (Goodfellow et al., 2014) on raw scores (logits).

    Args:
        saturating: False for the generator's -log sigmoid(s), True for the original log sigmoid(-s).
    """

    def __init__(self, saturating: bool = False):
        self.saturating = saturating

    def a(self, scores: Array) -> Array:
        return _log_sigmoid(-scores)

    def b(self, scores: Array) -> Array:
        return -_log_sigmoid(scores)

    def c(self, scores: Array) -> Array:
        return _log_sigmoid(-scores) if self.saturating else -_log_sigmoid(scores)


class Hinge(AdversarialLoss):
    """Hinge loss (Lim and Ye, 2017; Miyato et al., 2018)."""

    def a(self, scores: Array) -> Array:
        return -_positive_part(1 + scores)

    def b(self, scores: Array) -> Array:
        return _positive_part(1 - scores)

    def c(self, scores: Array) -> Array:
        return -scores
