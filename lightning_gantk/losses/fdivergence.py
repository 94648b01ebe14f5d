"""Generators that minimise the variational form of an f-divergence."""

from typing import Literal, get_args

from array_api_compat import array_namespace

from lightning_gantk.errors import ConfigError
from lightning_gantk.losses.base import Array, log_sigmoid
from lightning_gantk.losses.likelihood import LikelihoodRatio

Name = Literal["reverse_kl", "kl", "chi2", "hellinger", "js"]
_LOG_2 = 0.6931471805599453


class FDivergence(LikelihoodRatio):
    """The discriminator of ``Vanilla``, with a generator that minimises ``mean f(r)``, r = exp(s) = p_real / p_fake.

    That mean over fakes is the f-divergence of the real from the fake distribution. Its gradient has a part through the
    samples, which a generator follows, and one through the ratio, which it does not see: particles follow
    ``-r f'(r) grad s``, the right way where r f'(r) is negative alone (Yi, Zhu and Liu, ICML 2023). Reverse KL is
    ``MonoFlow("logit")``; the others push fakes away from the data wherever there are too few of them.

    ==============  ==================================  =====================================
    name            f(r)                                r f'(r) < 0, the right way
    ==============  ==================================  =====================================
    "reverse_kl"    -log r                              everywhere
    "kl"            r log r                             s < -1
    "chi2"          (r - 1)^2                           s < 0
    "hellinger"     (sqrt r - 1)^2                      s < 0
    "js"            r log r - (r+1) log((r+1)/2)        s < 0
    ==============  ==================================  =====================================

    Args:
        name: Of the divergence.

    Raises:
        ConfigError: If the name is unknown.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import FDivergence
        >>> FDivergence("chi2").c(torch.tensor(0.0)).item()  # f(1) = 0: nothing to tell apart
        0.0
    """

    def __init__(self, name: Name = "reverse_kl"):
        if name not in get_args(Name):
            raise ConfigError(f"'name' of FDivergence must be one of {', '.join(get_args(Name))}, got {name!r}.")
        self.name = name

    def c(self, scores: Array) -> Array:
        xp, s = array_namespace(scores), scores
        if self.name == "reverse_kl":
            return -s
        if self.name == "kl":
            return xp.exp(s) * s
        if self.name == "chi2":
            return xp.expm1(s) ** 2
        if self.name == "hellinger":
            return xp.expm1(s / 2) ** 2
        # r log(2 r / (1 + r)) + log(2 / (1 + r)), with log r = s
        return xp.exp(s) * (log_sigmoid(s) + _LOG_2) + log_sigmoid(-s) + _LOG_2
