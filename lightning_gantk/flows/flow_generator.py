"""Samples of a flow along a score that depends on time."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lightning_gantk.checks import number, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.processes import rank
from lightning_gantk.timed.network import TimedNetwork


class FlowGenerator(Generator):
    r"""Moves noise along the gradient of a timed score: Euler steps of a flow from time 0 to 1.

    .. math:: z_{k+1} = z_k - \frac{\eta}{N} \nabla c(f(z_k, k / N)) + \sqrt{\epsilon / N}\, \xi_k

    Its samples carry no gradient: what trains the score is ``DiscriminatorFlow``.

    Args:
        network: f, a torch module of samples ``(N, ...)`` and times ``(N,)`` that gives scores ``(N,)``.
        loss: Has c.
        out_shape: ``(d,)`` or ``(C, H, W)``.
        steps: N.
        eta: The flow's length.
        noise: epsilon, of the noise on the way.
        start_mean: Mean of the noise at the start.
        start_std: Its standard deviation.
        stop: How many steps a sample takes; all N where none is given. Stopping early is part of the method where
            quality is best before the end.

    Raises:
        ConfigError: If a number is out of range.

    Examples:
        >>> from lightning_gantk import Vanilla
        >>> from lightning_gantk.flows import FlowGenerator, TimedMLP
        >>> generator = FlowGenerator(TimedMLP((2,), hidden=(16,), embedding=8), Vanilla(), (2,), steps=4, eta=1.0)
        >>> generator(generator.latent(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        network: TimedNetwork,
        loss: AdversarialLoss,
        out_shape: Sequence[int],
        *,
        steps: int = 56,
        eta: float = 20.0,
        noise: float = 0.0,
        start_mean: float = 0.0,
        start_std: float = 1.0,
        stop: int | None = None,
    ):
        super().__init__(out_shape=out_shape)
        if not isinstance(network, nn.Module):
            raise ConfigError(f"'network' must be a torch module that takes samples and times, got {network!r}.")
        whole("steps", steps, of="of the flow")
        if stop is not None and not 0 <= stop <= steps:
            raise ConfigError(f"'stop' must lie between 0 and the flow's {steps} steps, got {stop}.")
        for name, value in (("eta", eta), ("noise", noise), ("start_std", start_std)):
            number(name, value, of="of the flow")
        self.network: nn.Module = network
        self.loss = loss
        self.steps, self.eta, self.noise, self.stop = steps, eta, noise, stop
        self.start_mean, self.start_std = start_mean, start_std

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``n`` samples ``(n, *out_shape)`` of the noise at the start."""
        source = device if generator is None else generator.device
        drawn = torch.randn(n, *self.out_shape, device=source, generator=generator)
        latent = self.start_mean + self.start_std * drawn
        return latent.to(device) if device is not None else latent

    def forward(self, latent: Tensor) -> Tensor:
        z = self.flow(latent, self.steps if self.stop is None else self.stop)
        return z.contiguous(memory_format=torch.channels_last) if z.ndim == 4 else z

    def flow(self, latent: Tensor, steps: int, look: Callable[[int, Tensor], None] | None = None) -> Tensor:
        """Where noise ``(N, *out_shape)`` is after so many steps, without a graph.

        Args:
            latent: The noise.
            steps: How many.
            look: Called with the number and the samples of each step, the start included.
        """
        source = self._source(latent.device)
        with torch.inference_mode(False), torch.enable_grad():
            z = latent.detach().clone()
            for k in range(steps):
                if look is not None:
                    look(k, z)
                z = self._step(z, k, source)
            if look is not None:
                look(steps, z)
        return z

    def flow_each(self, latent: Tensor, steps: Tensor) -> Tensor:
        """Where noise ``(N, *out_shape)`` is, of which each sample takes as many steps as ``(N,)`` says; no graph.

        Those that have arrived cost nothing more: with steps drawn evenly, half of what ``flow`` costs.
        """
        order = steps.argsort(descending=True)
        moving = (steps[:, None] > torch.arange(self.steps, device=steps.device)).sum(0).tolist()
        source = self._source(latent.device)
        with torch.inference_mode(False), torch.enable_grad():
            z = latent.detach()[order]
            for k, count in enumerate(moving):
                if not count:
                    break
                z[:count] = self._step(z[:count], k, source)
        return torch.empty_like(z).index_copy_(0, order, z)

    def _source(self, device: torch.device) -> torch.Generator | None:
        """Of the noise of one flow: each process has its own, and takes as much of the common one as the others."""
        return torch.Generator(device).manual_seed(int(torch.randint(2**62, ())) + rank()) if self.noise else None

    def _step(self, z: Tensor, k: int, source: torch.Generator | None) -> Tensor:
        z = z.detach().requires_grad_()
        time = z.new_full((len(z),), k / self.steps)
        (gradient,) = torch.autograd.grad(self.loss.c(self.network(z, time)).sum(), z)
        moved = z.detach() - self.eta / self.steps * gradient
        if self.noise:
            drawn = torch.randn(moved.shape, generator=source, device=moved.device, dtype=moved.dtype)
            moved = moved + math.sqrt(self.noise / self.steps) * drawn
        return moved

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, steps={self.steps}, eta={self.eta:g}, stop={self.stop}"
