"""Training on a part of the batch that stands for all of it, by Nystroem's kernel of R landmarks among the P points.

    k_R(x, y) = k(x, L) M^-1 k(L, y),  M = k(L, L) + jitter

(Williams and Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000). Functions in the span of the
landmarks are all that it knows, so f is a sum over R points, ``f(x) = sum_l k(x, l) alpha_l`` with ``alpha = M^-1 k(L,
P) w``, and costs R pairs of each sample instead of P. The dual weights w of all points are those of the same flow, by
the same solvers, which see k_R through its product with a vector: 4 P R operations and 2 R^2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import piecewise
from lightning_gantk.kernels.dynamics.accuracy import shares_of
from lightning_gantk.kernels.dynamics.dtypes import OfDtype
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved, keeps_gram
from lightning_gantk.kernels.dynamics.problem import (
    Count,
    Trained,
    Values,
    none_unsolved,
    problem,
    solved_on_host,
    start_of,
)
from lightning_gantk.kernels.dynamics.products import back, forth

_MORE_JITTER = 10  # times, where the factorisation fails
_TRIES = 6


class OnLandmarks(OfDtype):
    """Compiled functions of one kernel and one flow, for fits on landmarks.

    Args:
        kernel: The kernel.
        flow: Loss, time and tolerance; one that asks for the whole Gram matrix has no place here.
        dtype: "float32" or "float64".
    """

    def __init__(self, kernel: Kernel, flow: GradientFlow, dtype: str):
        self.dtype, self._flow = dtype, flow
        self._constant = flow.loss.slopes == "constant" or flow.time == 0
        # Closures, so that each discriminator has a compilation cache of its own that ends with it.
        self._batch = jax.jit(lambda *arguments: problem(dtype, *arguments))
        self._gram = jax.jit(lambda marks: expansion.gram(kernel, marks))
        self._between = jax.jit(lambda points, marks: expansion.backend_of(kernel, points).gram(points, marks))
        self._factor = jax.jit(factor)
        self._given = jax.jit(lambda *arguments: _given(kernel, flow, *arguments), static_argnums=3)
        self._solve = jax.jit(lambda *arguments: _solve(flow, *arguments), static_argnums=4)
        self._condensed, self._back = jax.jit(_condensed), jax.jit(back)
        self._error = jax.jit(lambda *arguments: _error(kernel, *arguments), static_argnums=(3, 6))

    def fit(
        self,
        real: jax.Array,
        fake: jax.Array,
        counts: tuple[Count, Count],
        f_0: Values,
        marks: tuple[np.ndarray, np.ndarray],
        looks: np.ndarray,
    ) -> tuple[Trained, jax.Array]:
        """Trains on all samples by some of them.

        Args:
            real: As for ``CompiledDiscriminator.fit``.
            fake: The same.
            counts: How many rows of either count, reals first, as there.
            f_0: As there.
            marks: Which fakes and which reals are landmarks.
            looks: At which fakes the error is looked at.

        Returns:
            A sum over the landmarks, and the error of its gradients at those fakes, see ``_error``.

        Raises:
            ConfigError: If the matrix of samples and landmarks, which losses other than IPM take, is too large.
        """
        with self.precision():
            points, mass = self._batch(real, fake, *counts)
            landmarks = points[np.concatenate([marks[0], len(fake) + marks[1]])]
            problem = points, mass, landmarks, len(fake), f_0
        found, values, lower = (self._by_closed_form if self._constant else self._by_products)(*problem)
        with jax.enable_x64(True):
            condensed = self._condensed(lower, values).astype(self.dtype)
        with self.precision():
            exact, ours = (points, found.weights, len(fake)), (landmarks, condensed, len(marks[0]))
            error = self._error(points[looks], *exact, *ours)
        return Trained(landmarks, condensed, *found[1:], fakes=len(marks[0])), error

    def _by_closed_form(
        self, points: jax.Array, mass: jax.Array, landmarks: jax.Array, fakes: int, f_0: Values
    ) -> tuple[Solved, jax.Array, jax.Array]:
        """Weights, ``k(L, P) w``, and the factor of M."""
        with self.precision():
            found, values = self._given(points, mass, landmarks, fakes, f_0)
        return found, values, self._factor_of(landmarks)

    def _by_products(
        self, points: jax.Array, mass: jax.Array, landmarks: jax.Array, fakes: int, f_0: Values
    ) -> tuple[Solved, jax.Array, jax.Array]:
        """The same by ``k(P, L)``, which is kept."""
        self._check_size(len(points), len(landmarks))
        with self.precision():
            matrix = self._between(points, landmarks)
        lower = self._factor_of(landmarks)
        with jax.enable_x64(True):
            found = self._found(matrix, lower, mass, f_0, fakes)
            return found, self._back(matrix, found.weights.astype("float64")), lower

    def _factor_of(self, landmarks: jax.Array) -> jax.Array:
        with self.precision():
            gram = self._gram(landmarks)
        with jax.enable_x64(True):
            return self._factor(gram)

    def _found(self, matrix: jax.Array, lower: jax.Array, mass: jax.Array, f_0: Values, fakes: int) -> Solved:
        if not self._flow.on_host:
            return self._solve(matrix, lower, mass, f_0, fakes)
        host, host_lower, host_mass, host_f_0 = jax.device_get((matrix, lower, mass, f_0))
        gram = LowRank(solve_triangular(host_lower, host.T.astype(np.float64), lower=True).T, self.dtype)
        return solved_on_host(self._flow, gram, host_mass, fakes, host_f_0, next(iter(mass.devices())))

    def _check_size(self, points: int, landmarks: int) -> None:
        if not keeps_gram(points * landmarks, jnp.dtype(self.dtype).itemsize):
            raise ConfigError(
                f"{landmarks} features of {points} samples make a matrix of "
                f"{points * landmarks * jnp.dtype(self.dtype).itemsize / 2**30:.1f} GiB, more than 2: take fewer "
                "features or samples, or IPM, which needs none."
            )


class LowRank(piecewise.Gram):
    """``Z Z'`` of a matrix ``(P, R)`` in float64; ``|K| |v|`` is bounded by ``|Z| |Z'| |v|``.

    Args:
        features: Z.
        dtype: The dtype that it was worked out in.
    """

    def __init__(self, features: np.ndarray, dtype: str):
        self._features, self.dtype = features, np.dtype(dtype)
        self._diagonal, self._held = np.einsum("pr,pr->p", features, features), piecewise.Held(len(features))

    @property
    def diagonal(self) -> np.ndarray:
        return self._diagonal

    def products(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.abs(self._features)
        return self._features @ (vector @ self._features), sizes @ (np.abs(vector) @ sizes)

    def row(self, sample: int) -> np.ndarray:
        return self._features @ self._features[sample]

    def hold(self, slot: int, row: np.ndarray) -> None:
        self._held.hold(slot, row)

    def product_of_held(self, vector: np.ndarray) -> np.ndarray:
        return self._held.product(vector)


def factor(matrix: jax.Array) -> jax.Array:
    """The lower Cholesky factor, in float64, of a Gram matrix and the least jitter that lets it be one.

    The first try is ``piecewise.ridge`` of the mean of the diagonal: above what rounding leaves of an eigenvalue 0.
    """
    wide = matrix.astype("float64")
    first = piecewise.ridge(matrix.dtype.name, len(matrix)) * jnp.mean(jnp.diagonal(wide))

    def attempt(tries: jax.Array) -> jax.Array:
        return jnp.linalg.cholesky(wide + first * _MORE_JITTER**tries * jnp.eye(len(wide)), symmetrize_input=False)

    def failed(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        return ~jnp.isfinite(state[1]).all() & (state[0] < _TRIES)

    begin = jnp.zeros((), "float64")
    return jax.lax.while_loop(failed, lambda s: (s[0] + 1, attempt(s[0] + 1)), (begin, attempt(begin)))[1]


def _condensed(lower: jax.Array, values: jax.Array) -> jax.Array:
    """``M^-1 v`` of the values ``(R,)`` of a function at the landmarks."""
    return jax.scipy.linalg.cho_solve((lower, True), values.astype(lower.dtype))


def _given(
    kernel: Kernel, flow: GradientFlow, points: jax.Array, mass: jax.Array, marks: jax.Array, fakes: int, f_0: Values
) -> tuple[Solved, jax.Array]:
    """The weights of a loss with constant slopes, and ``k(L, P) w`` with no matrix in between."""
    found = flow.weights(kernel, points, mass, jnp.arange(len(mass)) < fakes, start_of(f_0, mass))
    return found, expansion.scores(kernel, marks, points, found.weights, fakes)


def _solve(flow: GradientFlow, matrix: jax.Array, lower: jax.Array, mass: jax.Array, f_0: Values, fakes: int) -> Solved:
    wide = mass.astype("float64")

    def product(vector: jax.Array) -> jax.Array:
        return forth(matrix, _condensed(lower, back(matrix, vector)))

    found = none_unsolved(flow.weights_by_products(product, wide, jnp.arange(len(mass)) < fakes, start_of(f_0, wide)))
    return found._replace(weights=found.weights.astype(mass.dtype), products=found.products.astype("int32"))


def _error(
    kernel: Kernel,
    samples: jax.Array,
    points: jax.Array,
    weights: jax.Array,
    fakes: int,
    marks: jax.Array,
    condensed: jax.Array,
    marked_fakes: int,
) -> jax.Array:
    """Of the gradients at some fakes ``(S, ...)``, over those of ``sum_p k(x, p) w_p`` with the kernel itself.

    For constant slopes these weights are those of the exact flow, and this is the error. For others the exact flow has
    weights of its own: it gives way to what landmarks do not see where its scores come close to rest, so that the
    error is smaller than this after a long time.
    """
    _, exact = expansion.scores_and_gradient(kernel, samples, points, weights, fakes)
    _, ours = expansion.scores_and_gradient(kernel, samples, marks, condensed, marked_fakes)
    return shares_of(jnp.linalg.norm(ours - exact), jnp.linalg.norm(exact))
