"""The infinitely wide generator: trained by the flow of its neural tangent kernel."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.checks import in_words, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.latent import LatentSampler
from lightning_gantk.generators.latent_kernel import LatentKernel
from lightning_gantk.generators.start_map import StartMap, shaped

_BESIDE = 1_640_531_527  # from a seed of Z to one of other latents; torch takes 32 bits of either


class NTKGenerator(Generator):
    r"""The limit of ``NetworkGenerator`` at infinite width: ``g(z) = g_0(z) + Gamma(z, Z) A``.

    Gamma is the architecture's NTK, Z are n training latents, drawn once, and the dual weights A ``(n, d)`` are the
    parameters. A wide network of d outputs that is trained by gradient descent on samples of these latents is this
    function (Jacot et al., 2018; of GANs: Durr, Mroueh, Tu and Wang, PRX 2023): its samples move by

    .. math:: x_i \leftarrow x_i - \eta \sum_j \Gamma(z_i, z_j) \nabla_{x_j} \ell

    which in A is ``A_j <- A_j - eta grad_j``. So the gradient that reaches A is that of its own samples, not Gamma
    times it: plain gradient descent (``torch.optim.SGD`` without momentum) is exact training of the infinite network.
    Its learning rate is that of ``Particles`` divided by the largest eigenvalue of ``matrix``, Gamma over Z, which is
    of the order of n: one that suits free particles gives NaN here (docs/systems/both_infinite.md).

    While training, latents are those of Z; in evaluation they are new ones, whose samples move by the same formula. A
    sample of a new latent has no weights of its own: gradients from it are refused.

    Args:
        architecture: Of the generator, on vectors of latents; its last layer stands for one of d outputs.
        n: Number of training latents.
        latent_dim: Number of latent coordinates; latents are standard normal.
        out_shape: ``(d,)`` or ``(C, H, W)``; unbounded.
        initial: g_0: any torch module ``(N, latent_dim)`` to ``(N, *out_shape)``, which is not trained, such as a
            ``NetworkGenerator`` of some width; None for ``StartMap``.
        start_scale: Standard deviation of the samples' coordinates at the start, where g_0 is not given.
        normalized: Divide Gamma by its mean on the diagonal over Z: a learning rate then means the same for every
            architecture, and for ``CoupledParticles``. Without, it is that of the network.
        seed: Of the training latents and of ``StartMap``, whatever torch's global seed is.

    Attributes:
        latents: Z, ``(n, latent_dim)``.
        weights: A, ``(n, d)``.

    Raises:
        ConfigError: If an argument is not one of those allowed, or JAX cannot be used.

    Examples:
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.generators import NTKGenerator
        >>> generator = NTKGenerator(MLP(1), n=8, latent_dim=4, out_shape=(2,))
        >>> generator(generator.latent(5)).shape
        torch.Size([5, 2])
    """

    latents: Tensor
    matrix: Tensor
    size: Tensor
    theory = "the training of an infinitely wide network"

    def __init__(
        self,
        architecture: Architecture,
        n: int = 500,
        latent_dim: int = 16,
        out_shape: Sequence[int] = (2,),
        *,
        initial: Network | None = None,
        start_scale: float = 1.0,
        normalized: bool = False,
        seed: int = 0,
    ):
        super().__init__(out_shape=out_shape)
        whole("n", n)
        self.latent_sampler = LatentSampler(latent_dim)
        self.kernel = LatentKernel(architecture, latent_dim)
        outputs = math.prod(self.out_shape)
        if initial is not None and not isinstance(initial, nn.Module):
            raise ConfigError(f"'initial', g_0 of a generator, must be a torch module, got {in_words(initial)}.")
        self.initial = StartMap(latent_dim, outputs, start_scale, seed) if initial is None else initial
        self.initial.requires_grad_(False)
        latents = self.latent_sampler(n, generator=torch.Generator().manual_seed(seed))
        latents = latents[latents[:, 0].argsort()]  # in order, so that a latent's row is soon found
        matrix = self.kernel(latents, latents)
        size = matrix.diagonal().mean() if normalized else torch.ones(())
        self.weights = nn.Parameter(torch.zeros(n, outputs))
        self.register_buffer("latents", latents)
        self.register_buffer("size", size)
        self.register_buffer("matrix", matrix / size, persistent=False)  # the latents say what it is

    def fixed_latent(self, n: int, seed: int) -> Tensor:
        """As the base class has it; others than those of Z, which a seed gives too."""
        return super().fixed_latent(n, seed + _BESIDE)

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``n`` latents: while training a random choice of those of Z, all of them in order where there are no
        more; in evaluation new ones.
        """
        if not self.training:
            return self.latent_sampler(n, device=device, generator=generator)
        count = len(self.latents)
        source = device if generator is None else generator.device
        if n >= count:
            chosen = torch.arange(n, device=source) % count
        else:
            chosen = torch.randperm(count, device=source, generator=generator)[:n]
        latents = self.latents[chosen.to(self.latents.device)]
        return latents.to("cpu" if device is None and generator is not None else device or source or "cpu")

    def forward(self, latent: Tensor) -> Tensor:
        self.latent_sampler.check(latent)
        row = self._rows(latent)
        matrix = self.matrix[row] if (row >= 0).all() else self.kernel(latent, self.latents) / self.size
        return self._start(latent) + shaped(_OfOwnRows.apply(self.weights, row, matrix), self.out_shape)

    def _start(self, latent: Tensor) -> Tensor:
        """g_0, ``(N, *out_shape)``; a module may give ``(N, d)``, as ``StartMap`` does."""
        start = self.initial(latent)
        if start.shape == (len(latent), math.prod(self.out_shape)):
            return shaped(start, self.out_shape)
        if start.shape != (len(latent), *self.out_shape):
            raise ConfigError(
                f"'initial' gives samples of shape {tuple(start.shape[1:])}, and out_shape is {self.out_shape}."
            )
        return start

    def _rows(self, latent: Tensor) -> Tensor:
        """The row of Z that each latent is, ``(N,)``; -1 of a latent that is none."""
        first, last = self.latents[:, 0].contiguous(), len(self.latents) - 1
        row = torch.searchsorted(first, latent[:, 0].contiguous()).clamp(max=last)
        known = (self.latents[row] == latent).all(1)
        while not known.all():  # the row found is the first of those that share its first coordinate
            further = (row + 1).clamp(max=last)
            further = torch.where(~known & (first[further] == latent[:, 0]), further, row)
            if torch.equal(further, row):
                break
            row = further
            known = (self.latents[row] == latent).all(1)
        return torch.where(known, row, -1)

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, n={len(self.latents)}, {self.kernel!r}"


class _OfOwnRows(torch.autograd.Function):
    """``Gamma A`` at some latents; in the backward pass the gradient of each row of A is that of its own sample."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, row: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(row)
        ctx.count = len(weights)
        return matrix @ weights

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, None, None]:
        (row,) = ctx.saved_tensors
        if (row < 0).any():
            raise RuntimeError(
                "A gradient has reached samples of latents that an NTKGenerator is not trained on: draw them by its "
                "latent() in training mode."
            )
        gradient = upstreams[0].new_zeros(ctx.count, upstreams[0].shape[1])
        return gradient.index_add_(0, row, upstreams[0]), None, None
