"""Modes of particles near the real samples, against a kernel discriminator that is kept: rates, thresholds, damping."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    from lightning_gantk.kernels import Kernel


@dataclass(frozen=True)
class LinearModes:
    r"""Small displacements of n particles from the n real samples, under IPM.

    In units of the discriminator's time, with rate ratio r, decay lambda and a penalty (R/2) mean over reals of
    |grad f|^2 (the setting of Durr, Mroueh, Tu and Wang, PRX 2023; docs/systems/effective_dynamics.md has more):

    .. math:: b' = -(\lambda + R B) b + B \delta, \qquad \delta' = -r \Gamma b

    with delta the displacements, b the discriminator's gradients at the reals, and
    :math:`B_{ij} = \frac1n \partial_x \partial_y k(y_i, y_j)`.

    Attributes:
        matrix: B, ``(n d, n d)``, float64; coordinates of a particle lie together.
        mu: Eigenvalues of ``Gamma B``, in ascending order, ``(n d,)``.
        rate: r, the particles' rate by the discriminator's.

    Examples:
        >>> import torch
        >>> from lightning_gantk.analysis import linear_modes
        >>> from lightning_gantk.kernels import RBF
        >>> modes = linear_modes(RBF(gamma=0.5), torch.tensor([[-1.5], [1.5]]))
        >>> modes.mu.round(6).tolist()
        [0.455564, 0.544436]
    """

    matrix: np.ndarray
    mu: np.ndarray
    rate: float

    def exponents(self, *, decay: float = 0.0, penalty: float = 0.0) -> np.ndarray:
        """The exponents z of ``exp(z t)``, two for each mode, ``(n d, 2)``, complex, the slower one first.

        They are the roots of ``z^2 + (decay + penalty mu) z + rate mu``; with a penalty that is exact where Gamma is
        the identity.
        """
        damping = decay + penalty * self.mu
        root = np.sqrt((damping**2 - 4 * self.rate * self.mu).astype(complex))
        return np.stack([(root - damping) / 2, (-root - damping) / 2], axis=1)

    def decay_rates(self, *, decay: float = 0.0, penalty: float = 0.0) -> np.ndarray:
        """How fast each mode dies out in the end, ``(n d,)``; 0 where it goes round for ever."""
        return -np.real(self.exponents(decay=decay, penalty=penalty)).max(axis=1) + 0.0

    @property
    def critical_decay(self) -> np.ndarray:
        """For each mode the decay without overshoot and without delay, ``2 sqrt(rate mu)``."""
        return 2 * np.sqrt(self.rate * self.mu)

    @property
    def critical_penalty(self) -> np.ndarray:
        """The same for the penalty alone, ``2 sqrt(rate / mu)``: no one penalty is critical for all modes."""
        with np.errstate(divide="ignore"):
            return 2 * np.sqrt(self.rate / self.mu)

    def least_decay(self, particle_step: float) -> float:
        """The decay above which simultaneous steps of the particles are stable; alternating ones are at any."""
        return particle_step * float(self.mu[-1])


def linear_modes(
    kernel: "Architecture | Kernel",
    points: Tensor,
    coupling: float | Tensor = 0.0,
    rates: tuple[float, float] = (1.0, 1.0),
) -> LinearModes:
    """The modes of particles near given real points.

    Args:
        kernel: Of the discriminator, with second derivatives where points meet (RBF, smooth activations).
        points: Real samples ``(n, d)``; one particle is near each.
        coupling: g, in [0, 1], or the matrix Gamma ``(n, n)``, as of ``CoupledParticles``.
        rates: Of the discriminator and of the particles, both positive: what a step adds to f, and by how much each
            particle follows its own gradient.

    Returns:
        B and the eigenvalues of Gamma B, in float64.

    Raises:
        ConfigError: If an argument is out of range, or the kernel has a cusp, as that of ReLU.
    """
    if points.ndim != 2 or len(points) == 0:
        raise ConfigError(f"'points' must be vectors (n, d), got shape {tuple(points.shape)}.")
    if len(rates) != 2 or not all(0 < rate < math.inf for rate in rates):
        raise ConfigError(f"'rates' must be two positive numbers, of the discriminator and the particles, got {rates}.")
    n, d = points.shape
    if isinstance(coupling, Tensor):
        gamma = coupling.detach().double().cpu().numpy()
    else:
        if not 0 <= coupling <= 1:
            raise ConfigError(f"'coupling' must lie in [0, 1], got {coupling}.")
        gamma = (1 - coupling) * np.eye(n) + coupling
    if gamma.shape != (n, n):
        raise ConfigError(f"'coupling' of {n} points must be ({n}, {n}), got {gamma.shape}.")
    bridge.prepare(torch.device("cpu"))
    matrix = np.full((1, 1), np.nan) if _has_cusp(kernel, points) else _mixed_derivatives(kernel, points) / n
    if not np.isfinite(matrix).all():
        raise ConfigError(
            f"{kernel!r} has no second derivatives where points meet: its force on a particle does not grow in "
            "proportion to the distance. Take a smooth kernel, such as RBF or that of erf."
        )
    # Gamma B has the eigenvalues of the symmetric root(Gamma) B root(Gamma)
    values, vectors = np.linalg.eigh(gamma)
    root = np.kron((vectors * np.sqrt(values.clip(min=0))) @ vectors.T, np.eye(d))
    mu = np.linalg.eigvalsh(root @ matrix @ root).clip(min=0)
    return LinearModes(matrix, mu, rates[1] / rates[0])


def _has_cusp(kernel: "Architecture | Kernel", points: Tensor) -> bool:
    """Whether layers say so, or the kernel's own distance of near points does not fall with the square of theirs.

    The derivatives that JAX gives where points meet are numbers all the same.
    """
    from lightning_gantk.kernels.architecture import ArchitectureKernel

    described = kernel.architecture if isinstance(kernel, ArchitectureKernel) else kernel
    if isinstance(described, Architecture) and any(layer.cusp for layer in described.layers()):
        return True
    x = points[:1].detach().double()
    size = 1e-5 * (float(points.double().norm(dim=1).max()) or 1.0)
    along = torch.ones_like(x) / math.sqrt(x.shape[1])
    far, near = (_squared_distance(kernel, x, x + step * along) / step**2 for step in (size, size / 10))
    return near > 1.05 * far  # float64: smooth kernels differ by some 1e-3, those of r^2 log r by a quarter


def _squared_distance(kernel: "Architecture | Kernel", x: Tensor, y: Tensor) -> float:
    """``k(x, x) - 2 k(x, y) + k(y, y)`` of points ``(1, d)``, in float64."""
    import jax

    called = kernel.kernel("ntk") if isinstance(kernel, Architecture) else kernel
    with jax.enable_x64(True):
        pair = bridge.to_jax(torch.cat([x, y]).cpu())
        gram = np.asarray(called(pair, pair))
    return float(gram[0, 0] - 2 * gram[0, 1] + gram[1, 1])


def _mixed_derivatives(kernel: "Architecture | Kernel", points: Tensor) -> np.ndarray:
    """``d_x d_y k(y_i, y_j)``, ``(n d, n d)``, symmetric, in float64."""
    import jax

    called = kernel.kernel("ntk") if isinstance(kernel, Architecture) else kernel
    mixed = jax.jacrev(jax.grad(called.of_pair, 0), 1)
    with jax.enable_x64(True):
        given = bridge.to_jax(points.detach().double().cpu().contiguous())
        blocks = jax.jit(jax.vmap(jax.vmap(mixed, (None, 0)), (0, None)))(given, given)
        whole = np.asarray(blocks).transpose(0, 2, 1, 3).reshape(points.numel(), points.numel())
    return (whole + whole.T) / 2
