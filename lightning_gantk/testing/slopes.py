"""Derivatives by differences, with the errors that they keep: what every gradient is held against."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# Roundings of one result: some dozens of operations deep, whose errors add up at worst.
OPERATIONS = 64


def roundings(dtype: torch.dtype, size: float) -> float:
    """What ``OPERATIONS`` roundings leave of a number whose terms are of a size."""
    return OPERATIONS * torch.finfo(dtype).eps * size


def step_of(dtype: torch.dtype) -> float:
    """The step of a central difference: eps^(1/3), where its two errors, step^2 and eps / step, are alike."""
    return torch.finfo(dtype).eps ** (1 / 3)


def slope(function: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor, step: float) -> Tensor:
    """The derivative of ``function`` at ``x`` along a direction, by a central difference; no graph."""
    with torch.no_grad():
        ahead, behind = (function(x + sign * step * direction) for sign in (1, -1))
    return (ahead.double() - behind.double()) / (2 * step)


def error_of_slope(dtype: torch.dtype, size: float) -> float:
    """What a central difference of functions of a size, curved on the scale 1, is off by.

    With ``step_of`` both errors are eps^(2/3), times the size and the operations behind it.
    """
    return OPERATIONS * step_of(dtype) ** 2 * size


def unit(like: Tensor, seed: int = 0) -> Tensor:
    """A random direction of norm 1, in the shape and dtype of a tensor."""
    drawn = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn / drawn.norm()).to(like)


def normal(count: int, shape: tuple[int, ...], seed: int, dtype: str = "float32") -> np.ndarray:
    """Standard normal samples ``(count, *shape)``, float32 numbers in any dtype."""
    drawn = np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)
    return drawn.astype(dtype)
