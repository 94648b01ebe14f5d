"""Generators that follow any increasing function of the discriminator's score."""

import math
import warnings
from collections.abc import Callable
from typing import Literal, get_args

from array_api_compat import array_namespace

from lightning_gantk.checks import number
from lightning_gantk.errors import Advice, ConfigError
from lightning_gantk.losses.base import Array, log_sigmoid
from lightning_gantk.losses.likelihood import LikelihoodRatio

Name = Literal["logit", "ns", "vanilla", "arcsinh", "exp"]


class MonoFlow(LikelihoodRatio):
    """The discriminator of ``Vanilla``, with a generator that maximises ``mean h(scale s + shift)``, h increasing.

    The score estimates d = log(p_real / p_fake), and particles follow ``h'(d) grad d``, which lowers the KL divergence
    for every increasing h (Yi, Zhu and Liu, ICML 2023). ``Vanilla()`` is "ns", ``Vanilla(saturating=True)`` is
    "vanilla".

    ================  ======================  ==================
    h                 h(s)                    h'(s)
    ================  ======================  ==================
    "logit"           s                       1
    "ns"              log sigmoid(s)          sigmoid(-s)
    "vanilla"         -log(1 - sigmoid(s))    sigmoid(s)
    "arcsinh"         arcsinh(s)              1 / sqrt(1 + s^2)
    "exp"             exp(1.5 s)              1.5 exp(1.5 s)
    ================  ======================  ==================

    Args:
        h: A name, or a pointwise increasing function for torch and JAX at once; ``analysis.is_monotone`` looks whether
            it is.
        shift: Added to the score: the paper's C, 5 in its images, for "vanilla", which without it hardly moves fakes
            that the discriminator is sure of.
        scale: Positive factor of the score.

    Raises:
        ConfigError: If the name is unknown, or a number is out of range.

    Warns:
        Advice: If a function is not increasing everywhere between -10 and 10.

    Examples:
        >>> import torch
        >>> from lightning_gantk.losses import MonoFlow
        >>> MonoFlow("arcsinh").c(torch.tensor(0.0)).item()
        -0.0
    """

    def __init__(self, h: Name | Callable[[Array], Array] = "logit", shift: float = 0.0, scale: float = 1.0):
        if not callable(h) and h not in get_args(Name):
            raise ConfigError(
                f"'h' of MonoFlow must be one of {', '.join(map(repr, get_args(Name)))} or a function, got {h!r}."
            )
        if not math.isfinite(shift):
            raise ConfigError(f"'shift' of MonoFlow must be a finite number, got {shift!r}.")
        number("scale", scale, positive=True, of="of MonoFlow")
        self.h, self.shift, self.scale = h, shift, scale
        if callable(h):
            _warn_unless_increasing(h)

    def c(self, scores: Array) -> Array:
        s = self.scale * scores + self.shift
        if callable(self.h):
            return -self.h(s)
        xp = array_namespace(scores)
        if self.h == "logit":
            return -s
        if self.h == "ns":
            return -log_sigmoid(s)
        if self.h == "vanilla":
            return log_sigmoid(-s)
        return -xp.asinh(s) if self.h == "arcsinh" else -xp.exp(1.5 * s)


def _warn_unless_increasing(h: Callable[[Array], Array]) -> None:
    from lightning_gantk.losses.slopes import is_increasing  # torch takes a while to import, which names need not

    try:
        increasing = is_increasing(h)
    except Exception:  # a function that torch cannot differentiate is told, or works, where it is used
        return
    if not increasing:
        warnings.warn(
            f"'h' of MonoFlow, {getattr(h, '__name__', h)}, is not increasing everywhere between -10 and 10: where it "
            "falls, fakes go the wrong way, and where it is flat, nothing moves them. Give an increasing function, "
            f"or one of {', '.join(map(repr, get_args(Name)))}.",
            Advice,
            stacklevel=3,
        )
