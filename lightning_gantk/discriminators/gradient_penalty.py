"""The gradient penalty of a network, ``weight`` times the mean of (|grad f| - center)^2."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError

Place = Literal["between", "real", "fake", "both"]


@dataclass(frozen=True)
class GradientPenalty:
    """A penalty on the length of a network's gradient.

    Between reals and fakes and around 1 it is WGAN-GP's (Gulrajani et al., 2017). At reals, around 0 and of weight R/2
    it is R_1 (Mescheder et al., 2018), which damps the GAN's rotation around its equilibrium.

    Attributes:
        weight: Its weight, at least 0; nothing is computed at 0.
        center: The length that it draws gradients to, at least 0.
        at: "between" pairs of a real and a fake sample, at a random point of the line; at "real" or "fake" samples, or
            at "both".

    Raises:
        ConfigError: If one is not among those allowed.
    """

    weight: float
    center: float
    at: Place

    def __post_init__(self) -> None:
        for name, value in (("gradient_penalty", self.weight), ("penalty_center", self.center)):
            number(name, value)
        if self.at not in (known := get_args(Place)):
            raise ConfigError(f"'penalty_at' must be one of {', '.join(known)}, got {self.at!r}.")

    def places(self, real: Tensor, fake: Tensor, share: Tensor | None = None) -> Tensor:
        """Where gradients are taken, ``(P, ...)``.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``; "between" there are min(M, N) pairs.
            share: ``(min(M, N),)`` in [0, 1], of the real sample in a place between; drawn where none is given.
        """
        if self.at == "between":
            pairs = min(len(real), len(fake))
            share = torch.rand(pairs, device=real.device, dtype=real.dtype) if share is None else share
            share = share.view(-1, *(1,) * (real.ndim - 1))
            return share * real[:pairs] + (1 - share) * fake[:pairs]
        if self.at == "both":
            return torch.cat([real, fake])
        return real if self.at == "real" else fake

    def __call__(self, network: Callable[[Tensor], Tensor], places: Tensor, conditions: int = 0) -> Tensor:
        """The mean of (|grad f| - center)^2, without the weight, differentiable in the network's parameters.

        Args:
            network: f, of samples ``(P, ...)``.
            places: ``(P, ...)``.
            conditions: How many channels (coordinates), the last ones, the gradient is not taken in.
        """
        places = places.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(network(places).sum(), places, create_graph=True)
        gradient = gradient[:, : gradient.shape[1] - conditions]
        return ((gradient.flatten(1).norm(dim=1) - self.center) ** 2).mean()
