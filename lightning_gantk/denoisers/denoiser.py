"""A denoiser that trains itself: preconditioned network, optimizer, and a step of denoising score matching."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.processes import average, own_part


class Denoiser(nn.Module):
    r"""Estimates clean samples from noisy ones, E[x | x + sigma e], by a preconditioned network.

    .. math:: D(x, \sigma) = \frac{s^2}{\sigma^2 + s^2} x
              + \frac{\sigma s}{\sqrt{\sigma^2 + s^2}} F\Big(\frac{x}{\sqrt{\sigma^2 + s^2}}, \frac{\ln\sigma}{4}\Big)

    with s = ``sigma_data`` (Karras et al., "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, table 1): inputs and targets of F have variance 1 at every level. Where it is exact, (D(x, sigma) - x) /
    sigma^2 is the score, the gradient of the log density of the noisy samples (Vincent, 2011).

    Args:
        network: F, a torch module of samples ``(N, ...)`` and numbers ``(N,)`` that gives samples; copied.
        optimizer: Makes its optimizer from its parameters.
        sigma_data: s, the standard deviation of the samples.

    Examples:
        >>> import torch
        >>> from lightning_gantk.denoisers import Denoiser, MLPDenoiser
        >>> denoiser = Denoiser(MLPDenoiser((2,), hidden=(16,), embedding=8), torch.optim.Adam, sigma_data=1.0)
        >>> samples, levels = torch.zeros(64, 2), torch.ones(64)
        >>> error = denoiser.step(samples, levels)  # one step of training
        >>> denoiser(torch.randn(5, 2), torch.ones(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        sigma_data: float,
    ):
        super().__init__()
        self.network, self.sigma_data = copy.deepcopy(network).requires_grad_(False), sigma_data
        self.optimizer = optimizer(self.network.parameters())

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Clean samples ``(N, ...)`` of noisy ones ``(N, ...)``, each with noise of its own size ``(N,)``."""
        noise = over(sigma, x)
        scale = (noise**2 + self.sigma_data**2).sqrt()
        found = self.network(x / scale, sigma.log() / 4)
        if found.shape != x.shape:
            raise ConfigError(
                f"A denoiser's network must give samples of the shape that it takes: {tuple(x.shape)} became "
                f"{tuple(found.shape)}."
            )
        return (self.sigma_data / scale) ** 2 * x + noise * self.sigma_data / scale * found

    def step(self, clean: Tensor, sigma: Tensor) -> Tensor:
        """Takes one optimizer step towards less error of samples ``(N, ...)`` with new noise of sizes ``(N,)``.

        Where several processes work on the run, all have the same samples, each takes the gradient of its part of them,
        and all take the same step.

        Returns:
            The mean squared error, weighted so that every level counts alike; a scalar, of this process's part.
        """
        self.network.requires_grad_(True)
        try:
            with torch.enable_grad():
                noise = torch.randn_like(clean)
                clean, sigma, noise = own_part(clean), own_part(sigma), own_part(noise)
                size = over(sigma, clean)
                weight = (size**2 + self.sigma_data**2) / (size * self.sigma_data) ** 2
                error = (weight * (self(clean + size * noise, sigma) - clean) ** 2).mean()
                error.backward()
            average(p.grad for p in self.network.parameters() if p.grad is not None)
            self.optimizer.step()
        finally:
            self.network.requires_grad_(False)
            self.optimizer.zero_grad(set_to_none=True)
        return error.detach()

    def get_extra_state(self) -> dict[str, Any]:
        # A copy: the state's tensors go on changing in place.
        return {"optimizer": copy.deepcopy(self.optimizer.state_dict())}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


def over(sigma: Tensor, x: Tensor) -> Tensor:
    """Numbers ``(N,)`` in the shape that multiplies samples ``(N, ...)``."""
    return sigma.view(-1, *(1,) * (x.ndim - 1))
