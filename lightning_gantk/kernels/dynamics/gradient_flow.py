"""How the infinitely wide discriminator trains: the dual weights w of f_t(x) = f_0(x) + sum_p k(x, p) w_p.

Gradient flow on L in the infinite-width limit (Franceschi et al., ICML 2022, Section 4) reads, on the training points,

    w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = 0

with slope a' and mass 1/n on the n fakes, slope -b' and mass 1/m on the m reals. Points that only fill up a ragged
batch have mass 0 and change nothing. Cost is counted in products of K with a vector.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import piecewise, runge_kutta, stabilised
from lightning_gantk.kernels.dynamics.krylov import phi_product
from lightning_gantk.kernels.dynamics.loops import COMPILED, Loops
from lightning_gantk.kernels.dynamics.products import matvec
from lightning_gantk.kernels.expansion import scores
from lightning_gantk.losses import AdversarialLoss

GRAM_BUDGET = 2 * 2**30  # bytes of a Gram matrix that is kept; a larger one is worked out anew for each product
_GRAM_SHARE = 5 / 8  # the same on a GPU, of the memory that JAX may take there: 131,072 samples on one of 141 GB
_EXPLICIT_STEPS = 500  # of the Runge-Kutta solver, before the problem counts as stiff
_WEIGHTS = 0.1  # tolerance of the weights, over that of the scores, in the Runge-Kutta solver
_STABILISED_PRODUCTS = 100_000  # with K, after which the stabilised solver gives up
_IMPLICIT_STEPS = 2000
_RAMP = 1e-2  # scores over which a jump of a slope is spread where the stabilised solver takes over
_POWER_STEPS = 20
_GRID = 4096


class Solved(NamedTuple):
    """Dual weights and what the solver knows of them.

    Attributes:
        weights: ``(P,)``.
        converged: Whether the solver came to its end.
        error: How large the error of the score function may be, over that function, by what the solver knows of itself:
            a bound in the kernel's norm (Krylov), what rounding has done (events), or the sum of the tolerances of
            all steps, as gradient flows of concave functions bring solutions together.
        products: How many products with K it took.
    """

    weights: jax.Array
    converged: jax.Array
    error: jax.Array
    products: jax.Array


@dataclass(frozen=True)
class GradientFlow:
    """Gradient flow of a loss for a time.

    Affine slopes (LSGAN) have an exact solution, found in a Krylov space, and slopes that are piecewise constant
    (hinge) one that goes from event to event, see ``piecewise``. Any other slopes are solved as an ODE: by an adaptive
    Runge-Kutta method of order 5, and where that takes more than 500 steps by an implicit one if the slopes are smooth.
    If they are not known to be, or the Gram matrix is not kept, a stabilised method of order 2 takes over with every
    jump spread over 0.01: the scores are then right to about 0.01.

    With a Gram matrix that is kept, vectors are in float64 whatever the matrix is in (see ``compiled``): at long times
    weights follow small eigenvalues, which products in float32 bury under the rounding of large ones.

    Attributes:
        loss: The loss.
        time: The discriminator's training time t.
        rtol: Relative tolerance of the solution; ``default_rtol`` has one for each dtype.
    """

    loss: AdversarialLoss
    time: float
    rtol: float

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
        known = jnp.array(True), jnp.zeros((), mass.dtype), jnp.array(0)
        if self.time == 0:
            return Solved(jnp.zeros_like(mass), *known)
        if self.loss.slopes == "constant":
            return Solved(self.reach * mass * self.slopes(f_0, fake), *known)
        return self.weights_by_products(lambda v: scores(kernel, points, points, v), mass, fake, f_0)

    @property
    def remaining(self) -> float:
        """What is left of f_0 in the function at time t: all of it, without decay."""
        return 1.0

    @property
    def whole(self) -> bool:
        """Whether weights that are not constant need all of K in every process, and are not found by shares."""
        return False

    @property
    def one_solver(self) -> bool:
        """Whether there is no second solver for where the first comes to no end."""
        return self.loss.slopes == "affine"

    def own_disturbance(self, dtype: str, points: int) -> tuple[float, float]:
        """What the solver itself does, as a disturbance of K: of each entry, over the largest of them, as a Krylov
        space knows small eigenvalues to that alone; and of the diagonal, over itself, which is a ridge.
        """
        if self.on_host:
            return 0.0, piecewise.ridge(dtype, points)
        return (2.0**-52 if self.loss.slopes == "affine" else 0.0), 0.0

    @property
    def on_host(self) -> bool:
        """Whether weights from a Gram matrix are found by numpy, outside of JAX's compilation."""
        return self.loss.slopes == "piecewise"

    def weights_on_host(
        self, gram: piecewise.Gram, mass: np.ndarray, fakes: int, f_0: np.ndarray
    ) -> piecewise.PiecewiseSolution:
        """The weights for piecewise constant slopes, exactly; K in either dtype, all else in float64."""
        return piecewise.solve(gram, mass, self._stairs(), fakes, f_0, self.time)

    def weights_from_matrix(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """The weights for slopes that are not constant, with K given, in either dtype; all else in float64. Where the
        flow is stiff this may come to no end.
        """
        return self._first(lambda v: matvec(matrix, v), mass, fake, f_0)

    def stiff_weights_from_matrix(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> Solved:
        """The same for a flow that has turned out to be stiff."""
        if (
            self.loss.slopes != "smooth" or 4 * matrix.size > GRAM_BUDGET
        ):  # the implicit solver holds several, in float64
            return self._stabilised(lambda v: matvec(matrix, v), mass, fake, f_0)
        wide = matrix.astype(mass.dtype)  # an implicit solver sees products with many vectors at once
        return self._smooth(lambda v: wide @ v, mass, fake, f_0, implicit=True)

    def weights_by_products(
        self,
        product: Callable[[jax.Array], jax.Array],
        mass: jax.Array,
        fake: jax.Array,
        f_0: jax.Array,
        loops: Loops = COMPILED,
        stiff: Callable[[], Solved] | None = None,
    ) -> Solved:
        """The weights for slopes that are not constant, with K given as ``v -> K v``.

        Args:
            product: ``v -> K v``.
            mass: As for ``weights``.
            fake: As for ``weights``.
            f_0: As for ``weights``.
            loops: Who runs the solvers' loops; in Python, products may send messages.
            stiff: Solves where the first solver came to no end; the stabilised one where none is given.
        """
        first = self._first(product, mass, fake, f_0, loops)
        if self.loss.slopes == "affine":
            return first

        def second() -> Solved:
            found = stiff() if stiff else self._stabilised(product, mass, fake, f_0, loops)
            return found._replace(products=(first.products + found.products).astype(first.products.dtype))

        return loops.cond(first.converged, lambda: first, second)

    def _first(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        solve = self._affine if self.loss.slopes == "affine" else self._smooth
        return solve(product, mass, fake, f_0, loops)

    @property
    def reach(self) -> float:
        """How far weights of mass 1 come under a constant slope of 1."""
        return self.time

    def slopes(self, f: jax.Array, fake: jax.Array) -> jax.Array:
        """a'(f) on fakes and -b'(f) on reals, ``(P,)``."""
        rise, fall = (jax.grad(lambda s, g=g: jnp.sum(g(s)))(f) for g in (self.loss.a, self.loss.b))
        return jnp.where(fake, rise, -fall)

    def _rate(self, f: jax.Array, mass: jax.Array, fake: jax.Array) -> jax.Array:
        """The speed of u = w / mass at scores f."""
        return jnp.where(mass > 0, self.slopes(f, fake), 0)

    def _affine(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        """slope(f) = slope(0) - c f, c > 0: with D = diag(mass c) and w = sqrt(D) v, v' = b - sqrt(D) K sqrt(D) v."""
        zero, slopes = jnp.zeros_like(f_0), loops.once("slopes", self.slopes)
        curvature = slopes(zero, fake) - slopes(zero + 1, fake)
        root = jnp.sqrt(mass * curvature)
        b = jnp.sqrt(mass / curvature) * slopes(f_0, fake)
        found, count, error = phi_product(lambda v: root * product(root * v), b, self.time, self.rtol, loops)
        return Solved(root * found, jnp.isfinite(error), error, count)

    def _stairs(self) -> tuple[piecewise.Staircase, piecewise.Staircase]:
        """The slopes on fakes and on reals."""
        kinks = np.sort(np.asarray(self.loss.kinks, np.float64))
        between = np.concatenate([kinks[:1] - 1, (kinks[1:] + kinks[:-1]) / 2, kinks[-1:] + 1])
        edges = np.concatenate([[-np.inf], kinks, [np.inf]])
        with jax.ensure_compile_time_eval():
            sides = [
                np.asarray(self.slopes(jnp.asarray(between), jnp.full(len(between), side))) for side in (True, False)
            ]
        if any((np.diff(side) > 0).any() for side in sides):
            raise ConfigError(
                f"The slopes of {self.loss!r} go up somewhere: 'piecewise' ones are those of concave a and -b."
            )
        of_fakes, of_reals = (piecewise.Staircase(edges, side.astype(np.float64)) for side in sides)
        return of_fakes, of_reals

    def _smooth(
        self,
        product: Callable,
        mass: jax.Array,
        fake: jax.Array,
        f_0: jax.Array,
        loops: Loops = COMPILED,
        *,
        implicit: bool = False,
    ) -> Solved:
        """A Runge-Kutta solve for u = w / mass, whose entries are at most of the order of t."""
        rate = loops.once("rate", self._rate)

        def field(u: jax.Array) -> jax.Array:
            return rate(f_0 + product(mass * u), mass, fake)

        # An error of u reaches the scores times K, while scores are small beside |K| |u|; products are cheap.
        rtol = max(self.rtol * _WEIGHTS, 10 * float(jnp.finfo(mass.dtype).eps))
        speed = jnp.maximum(jnp.max(jnp.abs(product(mass))), jnp.max(jnp.abs(product(mass * field(0 * mass)))))
        solve = functools.partial(runge_kutta.solve, implicit=True) if implicit else loops.ode
        solution = solve(
            field,
            jnp.zeros_like(mass),
            self.time,
            rtol=rtol,
            atol=rtol / jnp.maximum(1 / self.time, speed),  # an error of that size is one of rtol in the scores
            max_steps=_IMPLICIT_STEPS if implicit else _EXPLICIT_STEPS,
        )
        error = (solution.errors * rtol).astype(mass.dtype)
        return Solved(mass * solution.state, solution.reached, error, solution.evaluations + 2)

    def _stabilised(
        self, product: Callable, mass: jax.Array, fake: jax.Array, f_0: jax.Array, loops: Loops = COMPILED
    ) -> Solved:
        """The stabilised solve; the slope at f is the mean of the slopes within half a ramp of it."""
        rtol = max(self.rtol, _RAMP / 10)

        rate, steepest = loops.once("mean rate", self._mean_rate), loops.once("steepest", self._steepest)

        def field(u: jax.Array) -> jax.Array:
            return rate(f_0 + product(mass * u), mass, fake)

        root = jnp.sqrt(mass)
        largest = _largest_eigenvalue(lambda v: root * product(root * v), root, loops)

        def radius(u: jax.Array) -> jax.Array:
            reach = 1 + jnp.max(jnp.abs(f_0 + product(mass * u)))
            return largest * steepest(reach)

        solution = stabilised.solve(
            field,
            radius,
            jnp.zeros_like(mass),
            self.time,
            rtol=rtol,
            atol=rtol * min(1.0, self.time),
            max_evaluations=_STABILISED_PRODUCTS,
            loops=loops,
        )
        error = jnp.asarray(_RAMP, mass.dtype)
        return Solved(mass * solution.state, solution.reached, error, solution.evaluations + _POWER_STEPS)

    def _mean_rate(self, f: jax.Array, mass: jax.Array, fake: jax.Array) -> jax.Array:
        rise, fall = (self._mean_slope(g, f) for g in (self.loss.a, self.loss.b))
        return jnp.where(mass > 0, jnp.where(fake, rise, -fall), 0)

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


def keeps_gram(entries: int, itemsize: int, device: Any = None) -> bool:
    """Whether so many entries of a Gram matrix fit the budget, of so many bytes each, on a CPU or a GPU."""
    return entries * itemsize <= (GRAM_BUDGET if device is None else gram_budget(device))


def gram_budget(device: Any) -> float:
    """Bytes of a Gram matrix that is kept on a device of JAX."""
    return _GRAM_SHARE * _memory(device) or GRAM_BUDGET


@functools.cache
def _memory(device: Any) -> int:
    """Bytes that JAX may take there; 0 where it does not say."""
    return 0 if device.platform == "cpu" else (device.memory_stats() or {}).get("bytes_limit", 0)


def default_rtol(dtype: str) -> float:
    """A tolerance some ten times above what rounding leaves of a solve in the dtype."""
    return {"float32": 2e-6, "float64": 1e-9}[dtype]


def _largest_eigenvalue(product: Callable[[jax.Array], jax.Array], start: jax.Array, loops: Loops) -> jax.Array:
    """Of a positive semi-definite matrix, by power steps; a kernel's stands far above the next."""

    def step(_: int | jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        vector, size = pair
        image = product(vector)
        size = jnp.linalg.norm(image)
        return image / jnp.maximum(size, jnp.finfo(size.dtype).tiny), size

    begin = start / jnp.linalg.norm(start), jnp.zeros((), start.dtype)
    return loops.fori_loop(0, _POWER_STEPS, step, begin)[1]
