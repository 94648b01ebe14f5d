"""Numbers of torch's whose gradients were worked out elsewhere."""

from typing import Any

import torch
from torch import Tensor


def with_gradient(value: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
    """The scalar ``value``, which torch's autograd takes for a function of ``x`` with this ``gradient``, once."""
    return _Given.apply(x, value.detach(), gradient.detach())


def once(gradient: Tensor, x: Tensor) -> Tensor:
    """A gradient in ``x`` that cannot be differentiated again, and says so.

    With ``create_graph`` it would pass for a constant, and a penalty on it would silently do nothing.
    """
    return _Once.apply(gradient, x) if torch.is_grad_enabled() else gradient


class _Given(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, None, None]:
        gradient, x = ctx.saved_tensors
        return once(upstreams[0] * gradient, x), None, None


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(
            "The scores of an infinite-width discriminator can be differentiated once, not twice: it has a gradient "
            "penalty of its own (solution='ridge'), and for other uses of second derivatives a wide "
            "FiniteDiscriminator or a LinearizedDiscriminator stands in."
        )
