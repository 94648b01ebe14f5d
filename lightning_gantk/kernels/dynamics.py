"""How the infinitely wide discriminator trains: the dual weights w of f_t(x) = f_0(x) + sum_p k(x, p) w_p.

Gradient flow on L in the infinite-width limit (Franceschi et al., ICML 2022, Section 4) reads, on the training points,

    w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = 0

with slope a' and mass 1/n on the n fakes, slope -b' and mass 1/m on the m reals. Points that only fill up a ragged
batch have mass 0 and change nothing. Cost is counted in products of K with a vector.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lightning_gantk.kernels import explicit, native, stabilised
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.krylov import phi_product
from lightning_gantk.kernels.products import gram, scores
from lightning_gantk.losses import AdversarialLoss

GRAM_BUDGET = 2 * 2**30  # bytes of a Gram matrix that is kept; a larger one is worked out anew for each product
_EXPLICIT_STEPS = 500  # of the Runge-Kutta solver, before the problem counts as stiff
_WEIGHTS = 0.1  # tolerance of the weights, over that of the scores, in the Runge-Kutta solver
_RAMP = 1e-2  # scores over which a jump of a slope is spread where the stabilised solver takes over
_POWER_STEPS = 20
_GRID = 4096


class Solved(NamedTuple):
    """Dual weights ``(P,)``, whether the solver reached its tolerance, and how many products with K it took."""

    weights: jax.Array
    converged: jax.Array
    products: jax.Array


@dataclass(frozen=True)
class Dynamics:
    """Gradient flow of a loss for a time.

    Affine slopes (LSGAN) have an exact solution, found in a Krylov space. Any other slopes are solved as an ODE: by an
    adaptive Runge-Kutta method of order 5, and where that takes more than 500 steps (long times, or a slope that jumps,
    as hinge's, on which scores come to rest and an explicit method trembles) by a stabilised method of order 2 with
    every jump spread over 0.01: the scores are then right to about 0.01.

    With a Gram matrix that is kept, vectors are in float64 whatever the matrix is in (see ``Engine``): at long times
    weights follow small eigenvalues, which products in float32 bury under the rounding of large ones.

    Attributes:
        loss: The loss.
        time: The discriminator's training time t.
        rtol: Relative tolerance of the solution; ``default_rtol`` has one for each dtype.
        max_steps: Products with K after which the stabilised solver gives up.
    """

    loss: AdversarialLoss
    time: float
    rtol: float
    max_steps: int = 100_000

    def weights(self, kernel: Kernel, points: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """The dual weights at time t.

        Args:
            kernel: The kernel.
            points: Training points ``(P, ...)``.
            mass: ``(P,)``: 1/n on fakes, 1/m on reals, 0 on filling.
            fake: ``(P,)`` booleans, true on fakes.
            f_0: ``(P,)``, the discriminator before training at the points.

        Returns:
            The weights, and how they were found.
        """
        if self.time == 0:
            return Solved(jnp.zeros_like(mass), jnp.array(True), jnp.array(0))
        if self.loss.slopes == "constant":
            return Solved(self.reach * mass * self.slopes(f_0, fake), jnp.array(True), jnp.array(0))
        return self.weights_by_products(_operator(kernel, points), mass, fake, f_0)

    def weights_by_products(
        self, product: Callable[[jax.Array], jax.Array], mass: jax.Array, fake: jax.Array, f_0: jax.Array
    ) -> Solved:
        """The same for slopes that are not constant, with K given as ``v -> K v``."""
        if self.loss.slopes == "affine":
            return self._affine(product, mass, fake, f_0)
        first = self._explicit(product, mass, fake, f_0)
        return jax.lax.cond(
            first.converged, lambda: first, lambda: self._stabilised(product, mass, fake, f_0, first.products)
        )

    @property
    def reach(self) -> float:
        """How far weights of mass 1 come under a constant slope of 1."""
        return self.time

    def slopes(self, f: jax.Array, fake: jax.Array) -> jax.Array:
        """a'(f) on fakes and -b'(f) on reals, ``(P,)``."""
        rise, fall = (jax.grad(lambda s, g=g: jnp.sum(g(s)))(f) for g in (self.loss.a, self.loss.b))
        return jnp.where(fake, rise, -fall)

    def _affine(self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """slope(f) = slope(0) - c f, c > 0: with D = diag(mass c) and w = sqrt(D) v, v' = b - sqrt(D) K sqrt(D) v."""
        zero = jnp.zeros_like(f_0)
        curvature = self.slopes(zero, fake) - self.slopes(zero + 1, fake)
        root = jnp.sqrt(mass * curvature)
        b = jnp.sqrt(mass / curvature) * self.slopes(f_0, fake)
        found, count = phi_product(lambda v: root * product(root * v), b, self.time, self.rtol)
        return Solved(root * found, jnp.array(True), count)

    def _explicit(self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """A Runge-Kutta solve for u = w / mass, whose entries are all of the order of t."""

        def field(u: jax.Array) -> jax.Array:
            return jnp.where(mass > 0, self.slopes(f_0 + product(mass * u), fake), 0)

        # An error of u reaches the scores times K, while scores are small beside |K| |u|; products are cheap.
        rtol = max(self.rtol * _WEIGHTS, 10 * float(jnp.finfo(mass.dtype).eps))
        solution = explicit.solve(field, jnp.zeros_like(mass), self.time, rtol=rtol, max_steps=_EXPLICIT_STEPS)
        return Solved(mass * solution.state, solution.reached, solution.evaluations)

    def _stabilised(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, spent: jax.Array
    ) -> Solved:
        """The stabilised solve; the slope at f is the mean of the slopes within half a ramp of it."""
        rtol = max(self.rtol, _RAMP / 10)

        def slopes(f: jax.Array) -> jax.Array:
            rise, fall = (self._mean_slope(g, f) for g in (self.loss.a, self.loss.b))
            return jnp.where(fake, rise, -fall)

        def field(u: jax.Array) -> jax.Array:
            return jnp.where(mass > 0, slopes(f_0 + product(mass * u)), 0)

        root = jnp.sqrt(mass)
        largest = _largest_eigenvalue(lambda v: root * product(root * v), root)

        def radius(u: jax.Array) -> jax.Array:
            reach = 1 + jnp.max(jnp.abs(f_0 + product(mass * u)))
            return largest * self._steepest(reach)

        solution = stabilised.solve(
            field,
            radius,
            jnp.zeros_like(mass),
            self.time,
            rtol=rtol,
            atol=rtol * min(1.0, self.time),
            max_evaluations=self.max_steps,
        )
        count = (spent + _POWER_STEPS + solution.evaluations).astype(spent.dtype)
        return Solved(mass * solution.state, solution.reached, count)

    @staticmethod
    def _mean_slope(function: Callable, f: jax.Array) -> jax.Array:
        return (function(f + _RAMP / 2) - function(f - _RAMP / 2)) / _RAMP

    def _steepest(self, reach: jax.Array) -> jax.Array:
        """How fast a mean slope can change between -reach and reach, from a grid; a jump weighs 1 / ramp."""
        grid = jnp.linspace(-1.0, 1.0, _GRID, dtype=reach.dtype) * reach
        half = jnp.maximum(_RAMP, 2 * reach / _GRID) / 2

        def change(function: Callable) -> jax.Array:
            slope = jax.grad(lambda s: jnp.sum(function(s)))
            return jnp.max(jnp.abs(slope(grid + half) - slope(grid - half)))

        return jnp.maximum(change(self.loss.a), change(self.loss.b)) / _RAMP


def matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """A product with the Gram matrix, in the precision of the vector on every device."""
    if matrix.dtype == vector.dtype:
        return jnp.matmul(matrix, vector, precision="highest")
    if jax.default_backend() == "cpu" and native.available():
        return jax.ffi.ffi_call("lightning_gantk_product", jax.ShapeDtypeStruct(vector.shape, vector.dtype))(
            matrix, vector
        )
    return jnp.sum(matrix.astype(vector.dtype) * vector, 1)  # one pass, without a wide copy of the matrix


def keeps_gram(points: int, itemsize: int) -> bool:
    """Whether the Gram matrix of so many points fits the budget, with entries of so many bytes."""
    return points**2 * itemsize <= GRAM_BUDGET


def default_rtol(dtype: str) -> float:
    """A tolerance some ten times above what rounding leaves of a solve in the dtype."""
    return {"float32": 2e-6, "float64": 1e-9}[dtype]


def _operator(kernel: Kernel, points: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """``v -> K v``, with K kept where it fits the budget."""
    if not keeps_gram(len(points), points.dtype.itemsize):
        return lambda vector: scores(kernel, points, points, vector)
    matrix = gram(kernel, points)
    return lambda vector: matvec(matrix, vector)


def _largest_eigenvalue(product: Callable[[jax.Array], jax.Array], start: jax.Array) -> jax.Array:
    """Of a positive semi-definite matrix, by power steps; a kernel's stands far above the next."""

    def step(_: int, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        vector, _ = pair
        image = product(vector)
        size = jnp.linalg.norm(image)
        return image / jnp.maximum(size, jnp.finfo(size.dtype).tiny), size

    begin = start / jnp.linalg.norm(start), jnp.zeros((), start.dtype)
    return jax.lax.fori_loop(0, _POWER_STEPS, step, begin)[1]
