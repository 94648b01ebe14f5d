"""The Gram matrix of the training points, divided among processes: each works out its share of the pairs, once each.

Points are divided into as many groups as there are processes. A process has the pairs inside its own group, and those
of its own with the next groups, in a circle, half way round: where the number of processes is even, the pairs of
opposite groups are halved. For P points and W processes that are ``P^2 (W + 1) / (2 W^2)`` numbers. K is symmetric, so
the share says something of rows and of columns, and ``K v`` is the sum of what the shares contribute.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics.products import both_ways, matvec
from lightning_gantk.kernels.expansion import backend_of, gram

Pieces = tuple[jax.Array, ...]  # one for each of ``Share.blocks``


@dataclass(frozen=True)
class Share:
    """Which pairs are those of one process. Shapes and places, no numbers.

    Attributes:
        which: The process, from 0.
        processes: How many there are.
        points: P, a multiple of ``processes``.
    """

    which: int
    processes: int
    points: int

    @property
    def each(self) -> int:
        """Points in a group."""
        return self.points // self.processes

    @property
    def start(self) -> int:
        """The first point of its own group."""
        return self.which * self.each

    @property
    def blocks(self) -> tuple[tuple[slice, slice], ...]:
        """Rows and columns, counted from its own first point; the first block is symmetric, the others have no pair
        twice.
        """
        each, ahead = self.each, (self.processes - 1) // 2
        blocks = [(slice(0, each), slice(0, each))]
        if ahead:
            blocks.append((slice(0, each), slice(each, (1 + ahead) * each)))
        if self.processes % 2 == 0:
            half, opposite = (each + 1) // 2, (1 + ahead) * each
            if 2 * self.which < self.processes:
                blocks.append((slice(0, half), slice(opposite, opposite + each)))
            else:  # the opposite process has its first half of rows against all of ours
                blocks.append((slice(0, each), slice(opposite + half, opposite + each)))
        return tuple(block for block in blocks if block[1].stop > block[1].start)

    @property
    def entries(self) -> int:
        """Numbers in all blocks."""
        return sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in self.blocks)


def build(kernel: Kernel, share: Share, points: jax.Array) -> Pieces:
    """The blocks of a share, from all points ``(P, ...)``."""
    backend, points = backend_of(kernel, points), jnp.roll(points, -share.start, 0)
    (own, _), *others = share.blocks
    return gram(kernel, points[own]), *(backend.gram(points[rows], points[columns]) for rows, columns in others)


def product(share: Share, pieces: Pieces, vector: jax.Array) -> jax.Array:
    """What a share contributes to ``K v``, ``(P,)``, in the precision of the vector."""
    vector = jnp.roll(vector, -share.start)
    (own, _), *others = share.blocks
    result = jnp.zeros_like(vector).at[own].set(matvec(pieces[0], vector[own]))
    for (rows, columns), piece in zip(others, pieces[1:], strict=True):
        forth, back = both_ways(piece, vector[columns], vector[rows])
        result = result.at[rows].add(forth).at[columns].add(back)
    return jnp.roll(result, share.start)


def sizes(share: Share, pieces: Pieces, vector: jax.Array) -> jax.Array:
    """The same of ``|K| |v|``."""
    return product(share, jax.tree.map(jnp.abs, pieces), jnp.abs(vector))


def columns(share: Share, pieces: Pieces, like: jax.Array, first: jax.Array, count: int) -> jax.Array:
    """The same of some columns of K, ``(P, count)``, in the dtype of ``like``; past the last comes the first again."""
    number = (first + jnp.arange(count) - share.start) % share.points
    result = jnp.zeros((share.points, count), like.dtype)
    for i, ((rows, cols), piece) in enumerate(zip(share.blocks, pieces, strict=True)):
        at = jnp.clip(number - cols.start, 0, cols.stop - cols.start - 1)
        inside = (number >= cols.start) & (number < cols.stop)
        result = result.at[rows].add(jnp.where(inside, piece[:, at], 0).astype(like.dtype))
        if i:  # the first block says all of itself already
            at = jnp.clip(number - rows.start, 0, rows.stop - rows.start - 1)
            inside = (number >= rows.start) & (number < rows.stop)
            result = result.at[cols].add(jnp.where(inside, piece[at].T, 0).astype(like.dtype))
    return jnp.roll(result, share.start, 0)


def diagonal(share: Share, pieces: Pieces) -> jax.Array:
    """The same of the diagonal ``(P,)``, in the dtype of the matrix."""
    own = jnp.diagonal(pieces[0])
    return jnp.zeros(share.points, own.dtype).at[share.start : share.start + share.each].set(own)


def disturbed(
    share: Share,
    pieces: Pieces,
    diagonal: jax.Array,
    kinds: jax.Array,
    rounding: jax.Array,
    of_largest: float,
    of_diagonal: float,
) -> Pieces:
    """The blocks with noise in every pair and a ridge, as ``accuracy.disturbed`` has them. The noise of a pair is drawn
    by the numbers of its kinds, so that equal points keep equal rows, whoever has them.
    """
    own, top = diagonal[share.start : share.start + share.each], jnp.max(jnp.abs(diagonal))
    root, kinds = (jnp.roll(values, -share.start) for values in (jnp.sqrt(jnp.abs(diagonal)), kinds))
    draw = jax.vmap(jax.vmap(lambda pair: jax.random.normal(jax.random.fold_in(jax.random.key(0), pair))))

    def noisy(piece: jax.Array, rows: slice, columns: slice) -> jax.Array:
        first, second = kinds[rows][:, None], kinds[columns]
        noise = draw(jnp.minimum(first, second) * share.points + jnp.maximum(first, second))
        size = rounding * (root[rows][:, None] * root[columns]) + of_largest * top
        return piece + (size * noise).astype(piece.dtype)

    first, *others = (noisy(piece, *block) for piece, block in zip(pieces, share.blocks, strict=True))
    return first + jnp.diag(of_diagonal * jnp.abs(own)).astype(first.dtype), *others
