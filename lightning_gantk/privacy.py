"""Differential privacy of one release with Gaussian noise: how much noise an epsilon asks for, and what was spent.

A release has sensitivity 1 where one sample replaced by another moves it by at most 1. The noise then has standard
deviation sigma in every coordinate; for another sensitivity it is sigma times that.
"""

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

_ORDERS = [1 + 0.05 * k for k in range(1, 200)] + list(range(11, 513))  # of Renyi's divergence


def gaussian_sigma(epsilon: float, delta: float) -> float:
    """The least noise for (epsilon, delta): the analytic Gaussian mechanism (Balle and Wang, ICML 2018, Theorem 8).

    It holds for every epsilon, above 1 too, where the classical ``sqrt(2 ln(1.25 / delta)) / epsilon`` does not.

    Args:
        epsilon: Positive; infinity asks for no noise.
        delta: Between 0 and 1.

    Raises:
        ConfigError: If an argument is out of range.
    """
    if not epsilon > 0:
        raise ConfigError(f"'epsilon' must be positive (infinity for no privacy), got {epsilon}.")
    _check_delta(delta)
    if math.isinf(epsilon):
        return 0.0
    low = high = 1.0
    while gaussian_delta(high, epsilon) > delta:
        high *= 2
    while gaussian_delta(low, epsilon) < delta:
        low /= 2
    return _root(lambda sigma: gaussian_delta(sigma, epsilon) - delta, low, high)


def secret_noise(*shape: int) -> "Tensor":
    """Standard normal numbers in float64 from the operating system's randomness: no seed makes them again."""
    import torch  # takes a while that few who import this module need

    bits = torch.frombuffer(bytearray(os.urandom(8 * math.prod(shape))), dtype=torch.int64)
    uniform = ((bits & (2**53 - 1)).double() + 0.5) / 2**53
    return torch.special.ndtri(uniform).reshape(shape)


def gaussian_delta(sigma: float, epsilon: float) -> float:
    """The exact delta of noise sigma at an epsilon: ``Phi(1/(2 sigma) - epsilon sigma) - e^epsilon Phi(-1/(2 sigma) -
    epsilon sigma)``.
    """
    from scipy.special import log_ndtr, ndtr  # scipy takes a while that few who import this module need

    half = 1 / (2 * sigma)
    return float(ndtr(half - epsilon * sigma) - math.exp(epsilon + log_ndtr(-half - epsilon * sigma)))


def gaussian_epsilon(sigma: float, delta: float, releases: int = 1) -> float:
    """The epsilon that so many releases with noise sigma have spent, exactly: together they are one with ``sigma /
    sqrt(releases)``. Infinite where there is no noise, 0 where nothing was released.
    """
    _check_delta(delta)
    if releases == 0:
        return 0.0
    if sigma == 0:
        return math.inf
    sigma = sigma / math.sqrt(releases)
    if gaussian_delta(sigma, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(sigma, high) > delta:
        high *= 2
    return _root(lambda epsilon: gaussian_delta(sigma, epsilon) - delta, 0.0, high)


def rdp_epsilon(sigma: float, delta: float, releases: int = 1) -> float:
    """The same by Renyi differential privacy, as Opacus accounts for it: a little more than was spent.

    Raises:
        ConfigError: If Opacus is not installed.
    """
    try:
        from opacus.accountants.analysis import rdp
    except ImportError as error:
        raise ConfigError(
            f"Accounting by Renyi differential privacy needs Opacus, which does not import ({error}): "
            "pip install 'lightning-gantk[privacy]'. gaussian_epsilon needs none, and is exact."
        ) from error
    spent = rdp.compute_rdp(q=1.0, noise_multiplier=sigma, steps=releases, orders=_ORDERS)
    return float(rdp.get_privacy_spent(orders=_ORDERS, rdp=spent, delta=delta)[0])


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ConfigError(f"'delta' must lie between 0 and 1, got {delta}.")


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import root_scalar

    return root_scalar(function, bracket=(low, high), xtol=1e-12).root
