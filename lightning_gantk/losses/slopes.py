"""Slopes of the pointwise functions that losses are made of."""

from collections.abc import Callable

import torch
from torch import Tensor

POINTS = 4001  # where a function is looked at


def slope(function: Callable[[Tensor], Tensor], scores: Tensor) -> Tensor:
    """The derivative of a pointwise function at scores ``(N,)``."""
    scores = scores.requires_grad_()
    value = function(scores)
    if not value.requires_grad:  # a constant
        return torch.zeros_like(scores)
    return torch.autograd.grad(value.sum(), scores)[0]


def is_increasing(function: Callable[[Tensor], Tensor], lo: float = -10.0, hi: float = 10.0) -> bool:
    """Whether a pointwise function's slope is positive at 4001 places from ``lo`` to ``hi``, in float64."""
    return bool((slope(function, torch.linspace(lo, hi, POINTS, dtype=torch.float64)) > 0).all())
