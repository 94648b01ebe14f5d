"""The infinite-width discriminator in JAX: everything between the two crossings of the bridge, compiled."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import accuracy, piecewise
from lightning_gantk.kernels.dynamics.dtypes import OfDtype
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved, keeps_gram
from lightning_gantk.kernels.dynamics.messages import Messages
from lightning_gantk.kernels.dynamics.problem import (
    Count,
    Trained,
    Values,
    none_unsolved,
    problem,
    solved_on_host,
    start_of,
)
from lightning_gantk.kernels.dynamics.together import Together


class CompiledDiscriminator(OfDtype):
    """Compiled functions of one kernel and one flow. Shapes alone decide on compilations: counts are arguments.

    Args:
        kernel: The kernel.
        flow: Loss, time and tolerance.
        dtype: "float32" or "float64"; the latter works without JAX's global x64 switch.
    """

    def __init__(self, kernel: Kernel, flow: GradientFlow, dtype: str):
        self.dtype, self._flow = dtype, flow
        # Closures, so that each discriminator has a compilation cache of its own that ends with it; none over self,
        # which they would keep until the garbage collector comes.
        self._fit = jax.jit(lambda *arguments: _fit(kernel, flow, dtype, *arguments))
        self._batch = jax.jit(lambda *arguments: problem(dtype, *arguments))
        self._matrix = jax.jit(lambda *arguments: _matrix(kernel, dtype, *arguments))
        self._solve, solve_stiff = (
            jax.jit(lambda *arguments, solve=solve: _solve(solve, *arguments), static_argnums=3)
            for solve in (flow.weights_from_matrix, flow.stiff_weights_from_matrix)
        )
        self._products = flow.loss.slopes != "constant" and flow.time > 0
        self._scores = jax.jit(
            lambda x, p, w, fakes: expansion.scores(kernel, x.astype(dtype), p, w, fakes), static_argnums=3
        )
        self._both = jax.jit(
            lambda x, p, w, fakes: expansion.scores_and_gradient(kernel, x.astype(dtype), p, w, fakes), static_argnums=3
        )
        self._both_at_fakes = jax.jit(
            lambda p, w, fakes: expansion.scores_and_gradient_at_points(kernel, p, w, fakes), static_argnums=2
        )
        self._both_at_some = jax.jit(
            lambda p, w, fakes, start, count: expansion.scores_and_gradient_at_points(
                kernel, p, w, fakes, start, count
            ),
            static_argnums=(2, 4),
        )
        self._both_at_these_fakes = jax.jit(
            lambda x, p, w, fakes: _both_at_these_fakes(kernel, x.astype(dtype), p, w, fakes), static_argnums=3
        )
        self._compare = jax.jit(lambda *arguments: _compare(kernel, *arguments), static_argnums=5)
        self._rounding = jax.jit(lambda m, wide, rows: accuracy.rounding_of(m[rows], wide, jnp.diagonal(m), rows))
        self._places, self._disturbed, self._distance, self._change = map(
            jax.jit, (accuracy.places, accuracy.disturbed, accuracy.distance, accuracy.change)
        )
        self._solve_stiff, self._together = solve_stiff, Together(kernel, flow, solve_stiff)

    def fit(
        self,
        real: jax.Array,
        fake: jax.Array,
        real_count: Count,
        fake_count: Count,
        f_0: Values = None,
        messages: Messages | None = None,
    ) -> Trained:
        """Trains on the first ``real_count`` and ``fake_count`` rows; the other rows are filling.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``.
            real_count: How many rows of ``real`` count; of a part of a batch, with how many the whole has.
            fake_count: How many rows of ``fake`` count.
            f_0: The values ``(N,)`` at the fakes and ``(M,)`` at the reals, filling included, of the function that
                training starts from; 0 where none are given.
            messages: To other processes that call this with the same batch, where they are to share the work. The
                number of rows has to be a multiple of theirs then.

        Raises:
            TrainingDiverged: Where this process could not do its share.
        """
        with self.precision():
            if messages and self._products and not self._flow.whole:
                points, mass = self._batch(real, fake, real_count, fake_count)
                part = self._together.part(points, messages)
                found = self._together.solve(part, messages, mass, start_of(f_0, mass), len(fake))
                return Trained(points, *found, fakes=len(fake))
            if not self._keeps(real, fake):
                return Trained(*self._fit(real, fake, real_count, fake_count, f_0), fakes=len(fake))
            points, mass, matrix = self._matrix(real, fake, real_count, fake_count)
        return Trained(points, *self.kept_weights(matrix, mass, len(fake), f_0), fakes=len(fake))

    def expansion(self, points: jax.Array, weights: jax.Array) -> Trained:
        """A trained discriminator of given points ``(P, ...)`` and weights ``(P,)``."""
        with self.precision():
            nothing = jnp.zeros((), self.dtype)
            return Trained(points, weights, jnp.array(True), nothing, jnp.array(0), fakes=0)

    def accuracy(
        self,
        trained: Trained,
        real: jax.Array,
        fake: jax.Array,
        real_count: Count,
        fake_count: Count,
        f_0: Values = None,
        messages: Messages | None = None,
    ) -> accuracy.Accuracy:
        """How far scores may be from the truth, from a second solve and a few rows in float64; arguments as for
        ``fit``, with what it gave.
        """
        with self.precision():
            # A look has two matrices beside each other: of one so large that a GPU alone keeps it, it looks at rows.
            entries = (len(real) + len(fake)) ** 2
            small = self._keeps(real, fake) and keeps_gram(entries, jnp.dtype(self.dtype).itemsize) and not messages
            _, mass, *matrix = (self._matrix if small else self._batch)(real, fake, real_count, fake_count)
            rows = accuracy.rows_of(trained.fakes, mass)
            narrow = self.dtype == "float32"
            samples = self._places(trained.points, mass, rows)
            given = samples, trained.points
            ours = self._both(*given, trained.weights, trained.fakes) if narrow or matrix else None
        evaluation, gradient, rounding, sizes = 0.0, 0.0, 2.0**-52, np.zeros(len(rows), self.dtype)
        with jax.enable_x64(True):
            if narrow and ours:
                wide = (array.astype("float64") for array in (*given, trained.weights))
                *found, sizes, wide_rows = self._compare(*ours, *wide, trained.fakes)
                evaluation, gradient = map(float, found)
                if matrix:
                    rounding = float(self._rounding(matrix[0], wide_rows, rows[:-1]))
            sensitivity, bends, others = 0.0, 0.0, trained.weights
            if matrix:
                rounding = max(rounding, accuracy.below_zero(matrix[0]))
                noise = rounding, *self._flow.own_disturbance(self.dtype, len(mass))
                kinds = accuracy.equals(trained.points)
                other = self.kept_weights(self._disturbed(matrix[0], kinds, *noise), mass, trained.fakes, f_0)
                others = other.weights
                sensitivity = float(self._distance(matrix[0], trained.weights, others))
        with self.precision():
            if matrix and ours:
                theirs = self._both(*given, others, trained.fakes)
                bends = float(self._change(ours[1], theirs[1], samples, sizes))
            if messages and self._products and not self._flow.whole:
                part = self._together.part(trained.points, messages)
                if part.kept:
                    given = trained.weights, mass, start_of(f_0, mass), trained.fakes
                    sensitivity = self._together.sensitivity(part, messages, *given)
        return accuracy.Accuracy(evaluation, gradient, sensitivity, float(trained.error), bends)

    def kept_weights(self, matrix: jax.Array, mass: jax.Array, fakes: int, f_0: Values = None) -> Solved:
        """Weights from a Gram matrix ``(P, P)`` with the fakes first, for a loss whose slopes are not constant.

        Args:
            matrix: The matrix, in either dtype.
            mass: ``(P,)``: 1/n on fakes, 1/m on reals, 0 on filling.
            fakes: How many points are fakes or their filling.
            f_0: As for ``fit``.

        Returns:
            What was found, the weights ``(P,)`` in the dtype of the masses.
        """
        with jax.enable_x64(True):
            if not self._flow.on_host:
                found = self._solve(matrix, mass, f_0, fakes)
                if self._flow.one_solver or found.converged:
                    return found
                spent = found.products
                found = self._solve_stiff(matrix, mass, f_0, fakes)  # compiled where it is needed alone
                return found._replace(products=found.products + spent)
            host, host_mass, host_f_0 = jax.device_get((matrix, mass, f_0))  # one crossing for all
            there = next(iter(mass.devices()))
            return solved_on_host(self._flow, piecewise.KeptGram(host), host_mass, fakes, host_f_0, there)

    def _keeps(self, real: jax.Array, fake: jax.Array) -> bool:
        """Whether the weights are found from a Gram matrix that is kept."""
        # Events go on in the host's memory, whose budget is that of a CPU.
        device = None if self._flow.on_host else next(iter(real.devices()))
        return self._products and keeps_gram((len(real) + len(fake)) ** 2, jnp.dtype(self.dtype).itemsize, device)

    def scores(self, trained: Trained, x: jax.Array) -> jax.Array:
        """Scores ``(N,)`` of test points ``(N, ...)``."""
        with self.precision():
            return self._scores(x, trained.points, trained.weights, trained.fakes)

    def scores_and_gradient(self, trained: Trained, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores ``(N,)`` and their gradients at the test points ``(N, ...)``."""
        with self.precision():
            return self._both(x, trained.points, trained.weights, trained.fakes)

    def scores_and_gradient_at_fakes(self, trained: Trained) -> tuple[jax.Array, jax.Array]:
        """The same at the fakes among the training points, filling included."""
        with self.precision():
            return self._both_at_fakes(trained.points, trained.weights, trained.fakes)

    def scores_and_gradient_at_some_fakes(
        self, trained: Trained, start: int, count: int
    ) -> tuple[jax.Array, jax.Array]:
        """The same at ``count`` of them, from ``start`` on: pairs of two of these are worked out once."""
        with self.precision():
            return self._both_at_some(trained.points, trained.weights, trained.fakes, start, count)

    def scores_and_gradient_at_these_fakes(
        self, trained: Trained, x: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The same at all of them, and whether ``x`` ``(N, ...)``, filling included, are those fakes: if not, all
        numbers are NaN.
        """
        with self.precision():
            return self._both_at_these_fakes(x, trained.points, trained.weights, trained.fakes)


def _fit(
    kernel: Kernel,
    flow: GradientFlow,
    dtype: str,
    real: jax.Array,
    fake: jax.Array,
    real_count: Count,
    fake_count: Count,
    f_0: Values,
) -> tuple[jax.Array, ...]:
    points, mass = problem(dtype, real, fake, real_count, fake_count)
    is_fake = jnp.arange(len(points)) < len(fake)
    return points, *none_unsolved(flow.weights(kernel, points, mass, is_fake, start_of(f_0, mass)))


def _matrix(kernel: Kernel, dtype: str, real: jax.Array, fake: jax.Array, *counts: Count) -> tuple:
    points, mass = problem(dtype, real, fake, *counts)
    return points, mass, expansion.gram(kernel, points)


def _solve(solve: Callable, matrix: jax.Array, mass: jax.Array, f_0: Values, fakes: int) -> Solved:
    """Weights from a Gram matrix, worked out in float64 and rounded once."""
    wide = mass.astype("float64")
    is_fake = jnp.arange(len(mass)) < fakes
    found = none_unsolved(solve(matrix, wide, is_fake, start_of(f_0, wide)))
    return found._replace(weights=found.weights.astype(mass.dtype), products=found.products.astype("int32"))


def _both_at_these_fakes(
    kernel: Kernel, x: jax.Array, points: jax.Array, weights: jax.Array, fakes: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    known = points[:fakes]
    same = jnp.all((x == known) | (jnp.isnan(x) & jnp.isnan(known)))
    both = expansion.scores_and_gradient_at_points(kernel, points, weights, fakes)
    values, gradient = (jnp.where(same, result, jnp.nan) for result in both)
    return values, gradient, same


def _compare(
    kernel: Kernel,
    ours: jax.Array,
    our_gradient: jax.Array,
    samples: jax.Array,
    points: jax.Array,
    weights: jax.Array,
    fakes: int,
) -> tuple[jax.Array, ...]:
    """Relative errors of scores and gradients at ``accuracy.places``, whose truth is worked out here, the sums of
    ``|k w|`` there, and the rows ``(R, P)`` of the Gram matrix of those that are points.
    """
    truth, gradient = expansion.scores_and_gradient(kernel, samples, points, weights, fakes)
    matrix = kernel(samples, points)
    sizes = jnp.abs(matrix) @ jnp.abs(weights)
    error = accuracy.error(ours, truth, sizes)
    change = accuracy.change(gradient, our_gradient, samples, sizes)
    return error, change, sizes.astype(ours.dtype), matrix[:-1]
