"""Gradient flow of a linearised network in torch: dual weights w of ``f = f_0 e^(-decay t) + K w``, K = J J^T.

    w_p' = mass_p slope_p(f_p) - decay w_p,  w(0) = 0

as in ``kernels.dynamics.gradient_flow``, which has the same in JAX for kernels. K is known by its products: one
backward pass and one forward-mode pass each. Losses without a closed form have it worked out once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.losses import AdversarialLoss

_MOST_VECTORS = 256  # of a Krylov space
_MOST_SPACES = 1000  # after which to give up
_MOST_POINTS = 4096  # with a Gram matrix
_JUMP = 1e-2  # scores over which a jump of a slope is spread
_CHANGE = 1e-4  # scores across which the derivative of a slope is taken


@dataclass(frozen=True)
class TangentFlow:
    """Gradient flow of a loss for a time.

    Attributes:
        loss: The loss.
        time: t.
        decay: lambda, at least 0.
        rtol: Relative tolerance, of the solution in the norm of K (affine slopes) or of each step.
    """

    loss: AdversarialLoss
    time: float
    decay: float = 0.0
    rtol: float = 1e-6

    @property
    def remaining(self) -> float:
        """What is left of f_0."""
        return math.exp(-self.decay * self.time)

    @property
    def reach(self) -> float:
        """The weight of mass 1 under a constant slope of 1."""
        return -math.expm1(-self.decay * self.time) / self.decay if self.decay else self.time

    def weights(
        self, product: Callable[[Tensor], Tensor], matrix: Callable[[], Tensor], mass: Tensor, fakes: int, f_0: Tensor
    ) -> Tensor:
        """Dual weights ``(P,)`` in float64.

        Args:
            product: ``v -> K v`` in float64.
            matrix: Gives K; called where the loss has no closed form.
            mass: ``(P,)``, fakes first.
            fakes: How many of the points are fakes.
            f_0: ``(P,)``.

        Raises:
            TrainingDiverged: If no numbers come out.
        """
        if self.time == 0:
            return torch.zeros_like(mass)
        if self.loss.slopes == "constant":
            found = self.reach * mass * self.slopes(f_0, fakes)
        elif self.loss.slopes == "affine":
            found = self._affine(product, mass, fakes, f_0)
        else:
            found = self._numerically(matrix, mass, fakes, f_0)
        if not found.isfinite().all():
            raise TrainingDiverged(f"The flow of {self.loss!r} over time {self.time:g} gives no numbers.")
        return found

    @torch.enable_grad()
    def slopes(self, f: Tensor, fakes: int) -> Tensor:
        """a'(f) on fakes and -b'(f) on reals."""
        f = f.detach().requires_grad_()
        total = self.loss.a(f[:fakes]).sum() - self.loss.b(f[fakes:]).sum()
        return torch.autograd.grad(total + 0 * f.sum(), f)[0]

    def _affine(self, product: Callable, mass: Tensor, fakes: int, f_0: Tensor) -> Tensor:
        """slope(f) = s - c f: with D = mass c, ``w' = mass s - D f_0 e^(-decay t) - (D K + decay) w``.

        The two forces act apart: under the second, ``w = e^(-decay t) y`` with ``y' = -D f_0 - D K y``.
        """
        zero = torch.zeros_like(f_0)
        start = self.slopes(zero, fakes)
        root = (mass * (start - self.slopes(zero + 1, fakes))).sqrt()

        def flow(force: Tensor, shift: float) -> Tensor:
            """Of ``w' = force - (D K + shift) w``, by w = sqrt(D) v."""
            return root * phi_product(
                lambda v: root * product(root * v) + shift * v, force / root, self.time, self.rtol
            )

        return flow(mass * start, self.decay) - self.remaining * flow(root**2 * f_0, 0.0)

    def _numerically(self, matrix: Callable[[], Tensor], mass: Tensor, fakes: int, f_0: Tensor) -> Tensor:
        """An implicit solve for u = w / mass."""
        from scipy.integrate import solve_ivp  # takes a while, which other losses need not

        if len(mass) > _MOST_POINTS:
            raise ConfigError(
                f"{self.loss!r} has no closed form, and {len(mass)} samples make too large a system: at most "
                f"{_MOST_POINTS}, reals and fakes together; IPM and LSGAN take any number."
            )
        gram, masses, start = matrix().numpy(), mass.numpy(), f_0.numpy()
        width = _JUMP if self.loss.slopes in ("piecewise", "any") else 0.0
        rtol = max(self.rtol, width / 10)  # the spread of a jump is an error already

        def slopes(f: np.ndarray) -> np.ndarray:
            if not width:
                return self.slopes(torch.from_numpy(f), fakes).numpy()
            ahead, behind = (self._objectives(torch.from_numpy(f + side), fakes) for side in (width / 2, -width / 2))
            return ((ahead - behind) / width).numpy()

        def scores(t: float, u: np.ndarray) -> np.ndarray:
            return start * math.exp(-self.decay * t) + gram @ (masses * u)

        def field(t: float, u: np.ndarray) -> np.ndarray:
            return slopes(scores(t, u)) - self.decay * u

        def jacobian(t: float, u: np.ndarray) -> np.ndarray:
            f = scores(t, u)
            curvature = (slopes(f + _CHANGE) - slopes(f - _CHANGE)) / (2 * _CHANGE)
            return curvature[:, None] * gram * masses - self.decay * np.eye(len(u))

        solved = solve_ivp(
            field,
            (0.0, self.time),
            np.zeros_like(masses),
            "Radau",
            [self.time],
            rtol=rtol,
            atol=rtol,
            jac=jacobian,
        )
        if not solved.success:
            raise TrainingDiverged(
                f"The flow of {self.loss!r} over time {self.time:g} was not solved: {solved.message}"
            )
        return mass * torch.from_numpy(solved.y[:, -1])

    def _objectives(self, f: Tensor, fakes: int) -> Tensor:
        """a(f) on fakes and -b(f) on reals."""
        return torch.cat([self.loss.a(f[:fakes]), -self.loss.b(f[fakes:])])


def phi_product(product: Callable[[Tensor], Tensor], b: Tensor, time: float, rtol: float) -> Tensor:
    """``(1 - exp(-t A)) / A b``, the solution of ``v' = b - A v`` from 0, in Krylov spaces of A.

    A space grows until the bound of ``kernels.dynamics.krylov`` on the relative error in the norm of A is met. One that
    has grown large is given up, and a new one goes on from the time it was good for. NaN where there is no end to it.
    """
    solution, rest, left = torch.zeros_like(b), b, time
    for _ in range(_MOST_SPACES):
        step, span = _in_one_space(product, rest, left, rtol)
        solution = solution + step
        if span == left:
            return solution
        left -= span
        rest = b - product(solution)
    return torch.full_like(b, math.nan)


def _in_one_space(product: Callable, b: Tensor, time: float, rtol: float) -> tuple[Tensor, float]:
    """The solution after as long a time as one Krylov space is good for, and that time."""
    norm = b.norm()
    if norm == 0:
        return b, time
    basis, diagonal, beside = [b / norm], [], []
    while True:
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        rows = torch.stack(basis)
        for _ in range(2):  # orthonormal to rounding
            image = image - (rows @ image) @ rows
        beside.append(float(image.norm()))
        off = torch.tensor(beside[:-1], dtype=b.dtype)
        inner = torch.diag(torch.tensor(diagonal, dtype=b.dtype)) + torch.diag(off, 1) + torch.diag(off, -1)
        if not inner.isfinite().all():
            return torch.full_like(b, math.nan), time
        values, vectors = torch.linalg.eigh(inner)
        solution, error = _in_its_basis(values, vectors, beside[-1], time)
        if error <= rtol or len(basis) in (len(b), _MOST_VECTORS):
            break
        basis.append(image / beside[-1])
    while error > rtol and len(basis) < len(b):
        time /= 2
        solution, error = _in_its_basis(values, vectors, beside[-1], time)
    return norm * (solution.to(b.device) @ rows), time


def _in_its_basis(values: Tensor, vectors: Tensor, beside: float, time: float) -> tuple[Tensor, float]:
    """The solution for the first unit vector, and the bound on its relative error in the norm of A."""
    values = values.clamp(min=0)
    phi = torch.where(values * time < 1e-8, time, -torch.expm1(-time * values) / values.clamp(min=1e-300))
    solution = vectors @ (phi * vectors[0])
    size = float((values * (vectors.T @ solution) ** 2).sum().sqrt())
    residual = beside * abs(float(solution[-1])) * math.sqrt(2 * time / math.e)
    return solution, residual / max(size, 1e-300)
