"""Integral probability metrics, which score fakes high."""

from array_api_compat import array_namespace

from lightning_gantk.losses.base import AdversarialLoss, Array


class IPM(AdversarialLoss):
    """Integral probability metric: a = b = c = s (Arjovsky et al., 2017, without the Lipschitz constraint).

    In the infinite-width limit L(f_t) = t MMD_k^2. Scores fakes HIGH and reals low, unlike losses with targets.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import IPM
        >>> IPM().discriminator(torch.tensor([1.0, 3.0]), torch.tensor([4.0]))  # (real, fake): fakes are to score high
        tensor(2.)
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

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import ExternalIPM
        >>> ExternalIPM().a(torch.tensor([3.0])), ExternalIPM().b(torch.tensor([3.0]))
        (tensor([0.]), tensor([3.]))
    """

    slopes = "constant"

    def a(self, scores: Array) -> Array:
        return array_namespace(scores).zeros_like(scores)

    def b(self, scores: Array) -> Array:
        return scores

    def c(self, scores: Array) -> Array:
        return scores
