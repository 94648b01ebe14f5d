"""How far the scores of a trained discriminator may be from the truth: measured on the batch itself.

Three things stand between the scores and the truth. The kernel is worked out in float32: some rows of the Gram matrix
are compared with the same in float64, as sums with the weights (and their gradients) and entry by entry. In any dtype
an eigenvalue below 0, which no exact Gram matrix has, shows an error. The flow is solved for the rounded matrix: it is
solved once more for one that is disturbed by as much again, at random, and the weights are compared in the kernel's
norm, which bounds the scores at every sample, and by the gradients that they give. And the solver has an error of its
own, which it says.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

_DRAWS = 4  # one draw of the noise, or a few samples, may fall short of the worst by so much
_NOTHING = 1e-6  # of the terms of a sum: what is left of them in float32
ROWS = 8  # samples at which float32 is compared with float64
_MOST_EIGENVALUES = 512  # points of which the least eigenvalue is looked at: a twentieth of a second


@dataclass(frozen=True)
class Accuracy:
    """Estimates of errors, over the largest ``sum_p |k(x, p) w_p|``.

    Attributes:
        evaluation: Of the scores for given weights, at some of the fakes and at a sample as large as the largest; 0 in
            float64.
        gradient: Of their gradients at those fakes, over the gradients themselves; 0 in float64.
        sensitivity: Of the scores through the rounding of the Gram matrix; 0 where the weights need none.
        solver: Of the scores through the solver.
        gradient_sensitivity: Of the gradients through the rounding of the Gram matrix, over the gradients themselves.
    """

    evaluation: float
    gradient: float
    sensitivity: float
    solver: float
    gradient_sensitivity: float = 0.0

    @property
    def scores(self) -> float:
        """All that concerns the scores."""
        return _DRAWS * (self.evaluation + self.sensitivity) + self.solver

    @property
    def gradients(self) -> float:
        """All that concerns the gradients."""
        return self.gradient + self.gradient_sensitivity


def rows_of(fakes: int, mass: jax.Array) -> np.ndarray:
    """The rows to compare: fakes spread evenly, no filling among them."""
    return spread(int(np.count_nonzero(np.asarray(mass[:fakes]))))


def places(points: jax.Array, mass: jax.Array, rows: np.ndarray) -> jax.Array:
    """Where scores are compared, ``(ROWS, ...)``: at these rows but the last, and at the largest of the points, turned
    end to end. That is as large a sample elsewhere: distances between samples of different sizes are those that
    rounding is worst for.
    """
    sizes = jnp.sum(jnp.square(points).reshape(len(points), -1), axis=1)
    largest = points[jnp.argmax(jnp.where(mass > 0, sizes, -1))]
    return jnp.concatenate([points[rows[:-1]], largest.reshape(-1)[::-1].reshape(1, *largest.shape)])


def error(ours: jax.Array, truth: jax.Array, sizes: jax.Array) -> jax.Array:
    """The largest difference of scores ``(ROWS,)`` over the largest of the sums ``sum |k w|``, at the fakes or at the
    place of its own: neither hides behind the other.
    """
    difference = jnp.abs(ours - truth)
    at_fakes, other = (shares_of(jnp.max(difference[p]), jnp.max(sizes[p])) for p in (slice(-1), slice(-1, None)))
    return jnp.maximum(at_fakes, other)


def spread(count: int) -> np.ndarray:
    """ROWS of so many rows, evenly; some of them twice where they are fewer."""
    return np.unique(np.linspace(0, count - 1, ROWS).astype(int))[np.arange(ROWS) % min(ROWS, count)]


def equals(points: jax.Array) -> np.ndarray:
    """For each of the points ``(P, ...)`` the number of its kind, ``(P,)``: equal points have the same."""
    flat = np.ascontiguousarray(points).reshape(len(points), -1)
    return np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1)


def disturbed(
    matrix: jax.Array, kinds: jax.Array, rounding: jax.Array, of_largest: float, of_diagonal: float
) -> jax.Array:
    """The matrix with noise in every entry: of the size ``rounding`` over the roots of both diagonal entries, and of
    ``of_largest`` over the largest; and with a ridge, ``of_diagonal`` over the diagonal. Points of one kind, see
    ``equals``, keep equal rows.
    """
    noise = jax.random.normal(jax.random.key(0), matrix.shape, matrix.dtype)
    noise = (jnp.triu(noise) + jnp.triu(noise, 1).T)[kinds][:, kinds]  # symmetric first: kinds are in no order
    diagonal = jnp.abs(jnp.diagonal(matrix))
    root = jnp.sqrt(diagonal)
    size = rounding * (root[:, None] * root) + of_largest * jnp.max(diagonal)
    return matrix + size * noise + jnp.diag(of_diagonal * diagonal)


def rounding_of(rows: jax.Array, wide: jax.Array, diagonal: jax.Array, which: jax.Array) -> jax.Array:
    """Root mean square of the differences of some rows ``(R, P)`` from those in float64, over the same roots."""
    size = jnp.sqrt(jnp.abs(diagonal[which][:, None] * diagonal))
    return jnp.sqrt(jnp.mean(shares_of(rows - wide, size) ** 2))


def below_zero(matrix: jax.Array) -> float:
    """The size of independent errors of the entries, over the roots of both diagonal entries, that would give the
    matrix its least eigenvalue where that is below 0; 0 where none is.

    The matrix with a unit diagonal is looked at, of many points a principal part of it, whose least eigenvalue is above
    that of the whole. A symmetric matrix of P x P errors of size s has eigenvalues from -2 s sqrt(P) on (Wigner's law).
    """
    some = np.linspace(0, len(matrix) - 1, min(len(matrix), _MOST_EIGENVALUES)).astype(int)
    part = np.asarray(matrix[some][:, some], np.float64)
    root = np.sqrt(np.abs(np.diagonal(part)))
    part, root = part[root > 0][:, root > 0], root[root > 0]
    if not len(root) or not np.isfinite(part).all():
        return 0.0
    least = np.linalg.eigvalsh(part / (root[:, None] * root))[0]
    return max(0.0, -float(least)) / (2 * len(root) ** 0.5)


def shares_of(difference: jax.Array, size: jax.Array) -> jax.Array:
    """Differences over sizes; 0 where the size is."""
    return jnp.where(size > 0, difference / jnp.where(size > 0, size, 1), 0)


def distance(matrix: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Bound on the difference of the scores of two sets of weights, over the largest ``sum |k w|`` of the first."""
    difference = (first - second).astype(matrix.dtype)
    sizes = jnp.abs(matrix) @ jnp.abs(first.astype(matrix.dtype))
    return distance_of(difference, matrix @ difference, jnp.diagonal(matrix), sizes)


def distance_of(difference: jax.Array, image: jax.Array, diagonal: jax.Array, sizes: jax.Array) -> jax.Array:
    """The same from the difference d of the weights, K d, the diagonal of K, and ``sum |k w|``, ``(P,)`` each."""
    energy, top, size = jnp.abs(difference @ image), jnp.max(jnp.abs(diagonal)), jnp.max(sizes)
    return shares_of(jnp.sqrt(top * energy), size)


def change(first: jax.Array, second: jax.Array, samples: jax.Array, sizes: jax.Array) -> jax.Array:
    """Of gradients ``(ROWS, ...)`` at the fakes to others, over the length of the first or over what is rounding of it,
    all of them 0, where terms cancel that add up to ``sizes``.
    """
    first, second, samples, sizes = (array[:-1] for array in (first, second, samples, sizes))
    least = _NOTHING * jnp.max(sizes) * len(samples) / jnp.maximum(jnp.linalg.norm(samples), 1e-30)
    length = jnp.maximum(jnp.linalg.norm(first), least)
    return jnp.linalg.norm(second - first) / jnp.where(length > 0, length, 1)
