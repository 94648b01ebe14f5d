"""Particles that pull each other along, as the outputs of an infinitely wide generator do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.latent import LatentSampler
from lightning_gantk.generators.latent_kernel import LatentKernel, check_unit_diagonal, coupling_matrix, unit_diagonal
from lightning_gantk.generators.particles import Particles, check_numbers

if TYPE_CHECKING:
    from datamodules import DataModule

_ALLOWED = "a number in [0, 1], a matrix or an architecture"


class CoupledParticles(Generator):
    r"""``Particles`` of which each moves along the gradients of all, mixed by a matrix Gamma.

    An infinitely wide generator that is trained by gradient descent moves its samples :math:`x_i = g(z_i)` by
    :math:`-\sum_j \Gamma(z_i, z_j) \nabla c(f)(x_j)`, Gamma its neural tangent kernel. Between independent latents in
    many dimensions that kernel has two values alone: one on the diagonal, and g times as much beside it. So two numbers
    describe the generator, a rate and g (Durr, Mroueh, Tu and Wang, "Effective dynamics of generative adversarial
    networks", PRX 2023):

    .. math:: \Gamma = (1 - g)\, I + g\, 1 1^T

    whose eigenvalues are 1 - g, n - 1 times, for motion relative to the mean, and 1 - g + g n for the mean itself.

    The gradient that reaches the particles is ``Gamma @ upstream``: plain gradient descent (``torch.optim.SGD`` without
    momentum) is the dynamics above, and particles outside the batch move too. Adam divides each coordinate's gradient
    by its own size, and undoes Gamma: ``GAN`` warns of it.

    Args:
        n: How many particles; None takes as many as given samples.
        out_shape: ``(d,)`` or ``(C, H, W)``.
        coupling: g, in [0, 1]; or Gamma itself, ``(n, n)``, symmetric, with ones on its diagonal; or an architecture,
            whose NTK on latents from N(0, I), divided by its diagonal, is Gamma.
        latent_dim: Number of latent coordinates; with an architecture.
        seed: Of the latents, whatever torch's global seed is.
        start: As of ``Particles``.
        noise: As of ``Particles``.
        per_particle: Whether the gradient is that of each particle's own ``c(f(x))`` and not of the batch's mean.

    Attributes:
        coupling: Gamma, ``(n, n)``.
        latents: ``(n, latent_dim)`` with an architecture, else None.

    Raises:
        ConfigError: If an argument is not one of those allowed; with an architecture: if JAX cannot be used.

    Examples:
        >>> import torch
        >>> from lightning_gantk.generators import CoupledParticles
        >>> particles = CoupledParticles(3, (1,), coupling=0.5)
        >>> (particles(particles.latent(3)) * torch.tensor([[1.0], [0.0], [0.0]])).sum().backward()
        >>> particles.particles.samples.grad.flatten()  # what one feels moves all
        tensor([1.0000, 0.5000, 0.5000])
    """

    coupling: Tensor
    latents: Tensor | None
    theory = "the flow that its coupling stands for"

    def __init__(
        self,
        n: int | None = 500,
        out_shape: Sequence[int] = (2,),
        *,
        coupling: "float | Tensor | np.ndarray | Architecture" = 0.3,
        latent_dim: int | None = None,
        seed: int = 0,
        start: "str | Tensor | np.ndarray | DataModule" = "normal",
        noise: float | None = None,
        per_particle: bool = False,
    ):
        super().__init__(out_shape=out_shape)
        self.particles = Particles(n, out_shape, start=start, noise=noise)
        self.per_particle = per_particle
        if isinstance(coupling, type):
            raise ConfigError(f"'coupling' must be {_ALLOWED}, got {in_words(coupling)}.")
        if isinstance(coupling, Architecture) != (latent_dim is not None):
            raise ConfigError(
                "'latent_dim' is the number of latent coordinates of an architecture that couples the particles: give "
                f"both or neither, got coupling={in_words(coupling)}, latent_dim={latent_dim}."
            )
        count, latents = len(self.samples), None
        if isinstance(coupling, Architecture):
            assert latent_dim is not None
            latents = LatentSampler(latent_dim)(count, generator=torch.Generator().manual_seed(seed))
            matrix = unit_diagonal(LatentKernel(coupling, latent_dim)(latents, latents))
        else:
            matrix = coupling_matrix(coupling, count, _ALLOWED)
            check_unit_diagonal(matrix)
            matrix = matrix.float()
        # Not in checkpoints: the settings say what they are.
        self.register_buffer("coupling", matrix, persistent=False)
        self.register_buffer("latents", latents, persistent=False)

    @property
    def samples(self) -> Tensor:
        """The particles, ``(n, *out_shape)``."""
        return self.particles.samples

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Indices of ``n`` particles, as those of ``Particles``."""
        return self.particles.latent(n, device=device, generator=generator)

    def population(self) -> Tensor:
        return self.particles.population()

    def forward(self, latent: Tensor) -> Tensor:
        """Copies of particles, which stay as they are when the optimizer moves the originals."""
        check_numbers(latent)
        own = self.per_particle
        factors = self.particles.per_particle_factor(latent) if own else self.samples.new_ones(len(latent))
        chosen = _Coupled.apply(self.samples, latent, self.coupling, factors)
        return chosen.contiguous(memory_format=torch.channels_last) if chosen.ndim == 4 else chosen

    def extra_repr(self) -> str:
        n = len(self.samples)
        mean = float((self.coupling.sum() - n) / max(1, n * (n - 1)))
        return f"n={n}, out_shape={self.out_shape}, mean coupling={mean:.3g}, per_particle={self.per_particle}"


class _Coupled(torch.autograd.Function):
    """Rows of a matrix of samples; in the backward pass their gradients move all rows, by Gamma."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, chosen: Tensor, coupling: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(chosen, coupling, factors)
        ctx.shape = samples.shape
        return samples.index_select(0, chosen)

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, None, None, None]:
        chosen, coupling, factors = ctx.saved_tensors
        upstream = factors[:, None] * upstreams[0].flatten(1)
        moved = coupling.index_select(1, chosen).to(upstream.dtype) @ upstream
        return moved.view(ctx.shape), None, None, None
