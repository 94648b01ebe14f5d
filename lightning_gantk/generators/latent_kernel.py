"""The kernel of an infinitely wide generator, between latents."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError

_ROUNDING = 1e-4  # of a matrix that was worked out in float32, and may be thousands of rows wide


class LatentKernel:
    """The NTK of an architecture between latents, torch in and torch out; JAX is imported on first use.

    A generator of this architecture with d outputs in its last layer has it times the identity over the outputs.

    Args:
        architecture: Of the generator; it takes vectors.
        latent_dim: Number of latent coordinates.

    Raises:
        ConfigError: If the architecture takes no such vectors.
    """

    def __init__(self, architecture: Architecture, latent_dim: int):
        if not isinstance(architecture, Architecture):
            raise ConfigError(
                f"A generator's kernel is that of an architecture such as MLP(), got {in_words(architecture)}."
            )
        architecture.check((latent_dim,))
        self.architecture, self.latent_dim = architecture, latent_dim
        bridge.prepare(torch.device("cpu"))

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The Gram matrix ``(N, M)`` of latents ``(N, latent_dim)`` and ``(M, latent_dim)``, found in float64.

        Returns:
            It in the dtype of ``x``.
        """
        import jax

        bridge.prepare(x.device)
        kernel = self.architecture.kernel("ntk")
        with jax.enable_x64(True):
            matrix = kernel(*(bridge.to_jax(latents.detach().double()) for latents in (x, y)))
            return bridge.to_torch(matrix).to(x.dtype, copy=True)

    def __repr__(self) -> str:
        return f"{self.architecture!r} on {self.latent_dim} latent coordinates"


def unit_diagonal(matrix: Tensor) -> Tensor:
    """``K_ij / sqrt(K_ii K_jj)`` of a Gram matrix, with a diagonal of ones to the last bit."""
    size = matrix.diagonal().sqrt()
    return (matrix / size / size[:, None]).fill_diagonal_(1)


def coupling_matrix(coupling: Any, n: int, allowed: str = "a number in [0, 1] or a matrix") -> Tensor:
    """Gamma of ``n`` particles, ``(n, n)``, float64, of the number g or of a matrix: a tensor, an array or a list.

    Args:
        coupling: What was given.
        n: Number of particles.
        allowed: What may be, for the message.

    Raises:
        ConfigError: If it is neither, or the matrix is not finite, symmetric and positive semidefinite.
    """
    try:
        matrix = torch.as_tensor(coupling).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        matrix = None
    if matrix is None or isinstance(coupling, bool) or (matrix.ndim == 0 and not 0 <= float(matrix) <= 1):
        raise ConfigError(f"'coupling' must be {allowed}, got {in_words(coupling)}.")
    if matrix.ndim == 0:
        return torch.full((n, n), float(matrix), dtype=torch.float64).fill_diagonal_(1)
    if matrix.shape != (n, n) or not matrix.isfinite().all():
        raise ConfigError(f"'coupling' of {n} particles must be a finite matrix ({n}, {n}), got {tuple(matrix.shape)}.")
    rounding = _ROUNDING * float(matrix.diagonal().abs().max())
    off = float((matrix - matrix.T).abs().max())
    if off > rounding:
        raise ConfigError(f"'coupling' must be symmetric; it differs from its transpose by up to {off:.2g}.")
    least = float(torch.linalg.eigvalsh(matrix)[0])
    if least < -rounding * math.sqrt(n):
        raise ConfigError(f"'coupling' must be positive semidefinite; its smallest eigenvalue is {least:.3g}.")
    return matrix


def check_unit_diagonal(matrix: Tensor) -> None:
    """Refuses a coupling ``(n, n)`` whose diagonal is not 1, with a ConfigError."""
    off = float((matrix.diagonal() - 1).abs().max())
    if off > _ROUNDING:
        raise ConfigError(
            f"'coupling' must have ones on its diagonal, which differs from 1 by up to {off:.2g}: divide a kernel by "
            "its diagonal, and the learning rate keeps its meaning."
        )
