"""Modes of particles near the real samples, against a kernel discriminator that is kept: rates, thresholds, damping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import in_words, number
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import CoupledParticles
from lightning_gantk.generators.latent_kernel import coupling_matrix

if TYPE_CHECKING:
    from lightning_gantk.kernels import Kernel

_NEAR = 1e-3  # a step away from a point, in shares of the points' size


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
        coupling: Gamma, ``(n, n)``, float64.

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
    coupling: np.ndarray

    def exponents(self, *, decay: float = 0.0, penalty: float = 0.0) -> np.ndarray:
        """The exponents z of ``exp(z t)``, two for each mode, ``(n d, 2)``, complex, the slower one first.

        They are the roots of ``z^2 + (decay + penalty mu) z + rate mu``.

        Raises:
            ConfigError: If an argument is negative, or there are a penalty and a coupling: together they mix the modes.
        """
        _check_damping(decay, penalty)
        if penalty:
            self._refuse_mixing()
        damping = decay + penalty * self.mu
        root = np.sqrt((damping**2 - 4 * self.rate * self.mu).astype(complex))
        return np.stack([(root - damping) / 2, (-root - damping) / 2], axis=1)

    def spectrum(self, *, decay: float = 0.0, penalty: float = 0.0) -> np.ndarray:
        """All exponents z of ``exp(z t)``, ``(2 n d,)``, complex, the slowest first; for any penalty and coupling.

        Raises:
            ConfigError: If an argument is negative.
        """
        _check_damping(decay, penalty)
        eye = np.eye(len(self.matrix))
        gamma = np.kron(self.coupling, np.eye(len(eye) // len(self.coupling)))
        damping = decay * eye + penalty * self.matrix
        found = np.linalg.eigvals(np.block([[-damping, self.matrix], [-self.rate * gamma, 0 * eye]]))
        return found[np.lexsort((found.imag, -found.real))]

    def decay_rates(self, *, decay: float = 0.0, penalty: float = 0.0) -> np.ndarray:
        """How fast each mode dies out in the end, ``(n d,)``; 0 where it goes round for ever. As for ``exponents``."""
        return -np.real(self.exponents(decay=decay, penalty=penalty)).max(axis=1) + 0.0

    @property
    def critical_decay(self) -> np.ndarray:
        """For each mode the decay without overshoot and without delay, ``2 sqrt(rate mu)``."""
        return 2 * np.sqrt(self.rate * self.mu)

    @property
    def critical_penalty(self) -> np.ndarray:
        """The same for the penalty alone, ``2 sqrt(rate / mu)``: no one penalty is critical for all modes.

        Raises:
            ConfigError: If there is a coupling.
        """
        self._refuse_mixing()
        with np.errstate(divide="ignore"):
            return 2 * np.sqrt(self.rate / self.mu)

    def least_decay(self, particle_step: float) -> float:
        """The decay above which simultaneous steps of the particles are stable; alternating ones are at any."""
        number("particle_step", particle_step)
        return particle_step * float(self.mu[-1])

    def _refuse_mixing(self) -> None:
        if (self.coupling != np.eye(len(self.coupling))).any():
            raise ConfigError(
                "A penalty acts through B and coupled particles move through Gamma B, whose modes are others: together "
                "they mix. spectrum(decay=..., penalty=...) has the exponents of all of it."
            )


def _check_damping(decay: float, penalty: float) -> None:
    for name, value in (("decay", decay), ("penalty", penalty)):
        number(name, value)


def linear_modes(
    kernel: "Architecture | Kernel",
    points: "Tensor | np.ndarray | Sequence[Sequence[float]]",
    coupling: "float | Tensor | np.ndarray | CoupledParticles" = 0.0,
    rates: Sequence[float] = (1.0, 1.0),
) -> LinearModes:
    """The modes of particles near given real points.

    Args:
        kernel: Of the discriminator, with second derivatives where points meet (RBF, smooth activations).
        points: Real samples ``(n, d)``; one particle is near each.
        coupling: g, in [0, 1], or the matrix Gamma ``(n, n)``, as of ``CoupledParticles``, or these themselves.
        rates: Of the discriminator and of the particles, both positive: what a step adds to f, and by how much each
            particle follows its own gradient.

    Returns:
        B and the eigenvalues of Gamma B, in float64.

    Raises:
        ConfigError: If an argument is out of range, or the kernel has a cusp, as that of ReLU, or no derivatives.
    """
    points = _vectors(points)
    fast, slow = _pair(rates)
    n, d = points.shape
    gamma = coupling_matrix(coupling.coupling if isinstance(coupling, CoupledParticles) else coupling, n).numpy()
    bridge.prepare(torch.device("cpu"))
    import jax

    from lightning_gantk.kernels.given import check_gram, kernel_of

    called = kernel_of(kernel)
    with jax.enable_x64(True):
        check_gram(called, bridge.to_jax(points[:1]), bridge.to_jax(torch.cat([points[:1], points[:1]])))
    _refuse_indefinite(called, kernel, points)
    if _has_cusp(called, kernel, points):
        raise ConfigError(
            f"{kernel!r} has no second derivatives where points meet: its force on a particle does not grow in "
            "proportion to the distance. Take a smooth kernel, such as RBF or that of erf."
        )
    whole = _mixed_derivatives(called, points)
    finite = np.isfinite(whole).all()
    if not finite or _is_flatter(whole[:d, :d], called, points):
        raise ConfigError(
            f"Derivatives that JAX finds of {kernel!r} where two samples coincide are "
            f"{'not those of its values' if finite else 'NaN'}: it differentiates a square root of 0, say. Write the "
            "squared distance without a root; a guarded one, as kernels.distance.length is, serves training alone."
        )
    matrix = whole / n
    # Gamma B has the eigenvalues of the symmetric root(Gamma) B root(Gamma)
    values, vectors = np.linalg.eigh(gamma)
    root = np.kron((vectors * np.sqrt(values.clip(min=0))) @ vectors.T, np.eye(d))
    mu = np.linalg.eigvalsh(root @ matrix @ root).clip(min=0)
    return LinearModes(matrix, mu, slow / fast, gamma)


def _vectors(points: Any) -> Tensor:
    """Real samples ``(n, d)`` as a float64 tensor on the CPU."""
    try:
        found = torch.as_tensor(points).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.ndim != 2 or found.numel() == 0 or not found.isfinite().all():
        shape = in_words(points) if found is None or found.ndim == 2 else f"shape {tuple(found.shape)}"
        raise ConfigError(f"'points' must be vectors (n, d) of finite numbers, got {shape}.")
    return found


def _pair(rates: Any) -> tuple[float, float]:
    listed = rates.tolist() if hasattr(rates, "tolist") else rates
    pair = isinstance(listed, Sequence) and len(listed) == 2
    if not pair or not all(isinstance(rate, Real) and 0 < float(rate) < math.inf for rate in listed):
        raise ConfigError(
            "'rates' must be two positive numbers, of the discriminator and the particles, such as (1.0, 0.1), got "
            f"{in_words(rates)}."
        )
    return float(listed[0]), float(listed[1])


def _refuse_indefinite(kernel: "Kernel", described: Any, points: Tensor) -> None:
    """Refuses what is no kernel: one that is not symmetric, or negative, at the first point and one near it."""
    pair = torch.cat([points[:1], points[:1] + _NEAR * _size(points)])
    gram = _gram(kernel, pair)
    rounding = 1e-11 * float(np.abs(gram).max())
    if abs(gram[0, 1] - gram[1, 0]) > rounding:
        raise ConfigError(
            f"{described!r} is not symmetric, as a kernel must be: of two points k(x, y) = {gram[0, 1]:.6g} and "
            f"k(y, x) = {gram[1, 0]:.6g}."
        )
    if not kernel.conditional and min(gram[0, 0], gram[1, 1]) < -rounding:
        raise ConfigError(f"{described!r} is not positive definite: k(x, x) = {min(gram[0, 0], gram[1, 1]):.6g}.")
    if gram[0, 0] - gram[0, 1] - gram[1, 0] + gram[1, 1] < -rounding:
        raise ConfigError(
            f"{described!r} is not positive definite: of two points k(x, x) - 2 k(x, y) + k(y, y) is below 0."
        )


def _has_cusp(kernel: "Kernel", described: Any, points: Tensor) -> bool:
    """Whether layers say so, or the kernel's own distance of near points does not fall with the square of theirs.

    The derivatives that JAX gives where points meet are numbers all the same.
    """
    from lightning_gantk.kernels.architecture import ArchitectureKernel

    described = described.architecture if isinstance(described, ArchitectureKernel) else described
    if isinstance(described, Architecture) and any(layer.cusp for layer in described.layers()):
        return True
    size = 1e-5 * _size(points)
    far, near = (_squared_distance(kernel, points[:1], step) / step**2 for step in (size, size / 10))
    return near > 1.05 * far  # float64: smooth kernels differ by some 1e-3, those of r^2 log r by a quarter


def _is_flatter(block: np.ndarray, kernel: "Kernel", points: Tensor) -> bool:
    """Whether the mixed derivatives ``(d, d)`` at the first point fall short of the kernel's own distance near it."""
    step = _NEAR * _size(points)
    found = _squared_distance(kernel, points[:1], step)
    rounding = 1e-11 * abs(float(_gram(kernel, points[:1])[0, 0]))
    return found > rounding and block.mean() * len(block) * step**2 < found / 2


def _size(points: Tensor) -> float:
    return float(points.norm(dim=1).max()) or 1.0


def _gram(kernel: "Kernel", points: Tensor) -> np.ndarray:
    """The Gram matrix ``(n, n)`` of points ``(n, d)``, in float64."""
    import jax

    with jax.enable_x64(True):
        given = bridge.to_jax(points)
        return np.asarray(kernel(given, given))


def _squared_distance(kernel: "Kernel", x: Tensor, step: float) -> float:
    """``k(x, x) - 2 k(x, y) + k(y, y)`` of a point ``(1, d)`` and y a step along the diagonal from it, in float64."""
    gram = _gram(kernel, torch.cat([x, x + step / math.sqrt(x.shape[1])]))
    return float(gram[0, 0] - 2 * gram[0, 1] + gram[1, 1])


def _mixed_derivatives(kernel: "Kernel", points: Tensor) -> np.ndarray:
    """``d_x d_y k(y_i, y_j)``, ``(n d, n d)``, symmetric, in float64."""
    import jax

    mixed = jax.jacrev(jax.grad(kernel.of_pair, 0), 1)
    with jax.enable_x64(True):
        given = bridge.to_jax(points.contiguous())
        blocks = jax.jit(jax.vmap(jax.vmap(mixed, (None, 0)), (0, None)))(given, given)
        whole = np.asarray(blocks).transpose(0, 2, 1, 3).reshape(points.numel(), points.numel())
    return (whole + whole.T) / 2
