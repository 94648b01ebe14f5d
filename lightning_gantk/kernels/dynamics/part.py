"""What one process holds of a common solve, and what it can say of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import accuracy, shares
from lightning_gantk.kernels.dynamics.shares import Pieces, Share

Outcome = TypeVar("Outcome")


class Functions:
    """Compiled functions of a share of one kernel's Gram matrix; see ``shares``. The share is static.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel):
        # Closures, so that each discriminator has a compilation cache of its own that ends with it.
        self.build = jax.jit(lambda share, points: shares.build(kernel, share, points), static_argnums=0)
        self.product = jax.jit(lambda share, *arguments: shares.product(share, *arguments), static_argnums=0)
        self.sizes = jax.jit(lambda share, *arguments: shares.sizes(share, *arguments), static_argnums=0)
        self.columns = jax.jit(lambda share, *arguments: shares.columns(share, *arguments), static_argnums=(0, 4))
        self.diagonal = jax.jit(lambda share, pieces: shares.diagonal(share, pieces), static_argnums=0)
        self.disturbed = jax.jit(lambda share, *arguments: shares.disturbed(share, *arguments), static_argnums=0)
        self.rounding = jax.jit(lambda share, *arguments: _rounding(kernel, share, *arguments), static_argnums=0)
        self.free_product = jax.jit(
            lambda share, *arguments: _free_product(kernel, share, *arguments), static_argnums=0
        )


class Part:
    """This process's part of a solve.

    Whatever goes wrong in it is kept, and all that it says from then on is no number: the others have to hear
    something, and end the solve when they hear that.

    Args:
        functions: The compiled functions.
        share: Which pairs are its own.
        points: All points, ``(P, ...)``.
        kept: Whether the numbers of its pairs are kept, which is the same in all parts.
        pieces: Makes the numbers of its pairs; by the kernel, where nothing is given.

    Attributes:
        share: The same.
        points: The same.
        kept: Whether the numbers are kept; they are worked out anew for each product where they are too many.
        dtype: Of the vectors: float64 where the numbers are kept, as in ``gradient_flow``.
        nothing: A vector ``(P,)`` of zeros.
    """

    def __init__(
        self,
        functions: Functions,
        share: Share,
        points: jax.Array,
        *,
        kept: bool,
        pieces: Callable[[], Pieces] | None = None,
    ):
        self._functions, self.share, self.points, self.kept = functions, share, points, kept
        self.dtype = jnp.dtype("float64") if self.kept else points.dtype
        self.nothing = self.put(np.zeros(len(points)))
        self._failure: Exception | None = None
        self._pieces: Pieces = ()
        if self.kept:
            with jax.enable_x64(True):
                make = pieces or (lambda: functions.build(share, points))
                self._pieces = self._guarded(make, lambda: ())

    def precision(self) -> AbstractContextManager:
        """The context in which the vectors exist."""
        return jax.enable_x64(self.dtype == "float64")

    def put(self, vector: np.ndarray) -> jax.Array:
        """A vector on the device of the points."""
        with self.precision():
            return jax.device_put(np.asarray(vector, self.dtype), next(iter(self.points.devices())))

    def product(self, vector: jax.Array) -> jax.Array:
        """Its contribution to ``K v``, ``(P,)``."""
        function = self._functions.product if self.kept else self._functions.free_product
        return self._said(lambda: function(self.share, self._pieces if self.kept else self.points, vector))

    def sizes(self, vector: jax.Array) -> jax.Array:
        """Its contribution to ``|K| |v|``, ``(P,)``, from numbers that are kept."""
        return self._said(lambda: self._functions.sizes(self.share, self._pieces, vector))

    def columns(self, first: int, count: int) -> jax.Array:
        """Its contribution to some columns of K, ``(P, count)``, from numbers that are kept; past the last comes the
        first again.
        """

        def work() -> jax.Array:
            return self._functions.columns(self.share, self._pieces, self.nothing, first, count)

        return self._said(work, count)

    def diagonal(self) -> jax.Array:
        """Its contribution to the diagonal of K, ``(P,)``, from numbers that are kept."""
        return self._said(lambda: self._functions.diagonal(self.share, self._pieces).astype(self.dtype))

    def rounding(self, diagonal: jax.Array) -> jax.Array:
        """Sum of the squares of some roundings of K, over the roots of both diagonal entries ``(P,)``, and of how many:
        ``(2,)``.
        """

        def work() -> jax.Array:
            return self._functions.rounding(self.share, self._pieces, self.points.astype(self.dtype), diagonal)

        return self._said(work)[:2]

    def disturbed(self, diagonal: jax.Array, kinds: np.ndarray, *noise: float) -> "Part":
        """The same part of a K that is disturbed, arguments as for ``shares.disturbed``."""
        make = lambda: self._functions.disturbed(self.share, self._pieces, diagonal, kinds, *noise)  # noqa: E731
        return Part(self._functions, self.share, self.points, kept=True, pieces=make)

    def check(self) -> None:
        """Raises TrainingDiverged where something has gone wrong."""
        if self._failure is not None:
            raise TrainingDiverged(
                f"Process {self.share.which} of {self.share.processes} could not do its share of the solve: "
                f"{self._failure}"
            ) from self._failure

    def _said(self, work: Callable[[], jax.Array], *more: int) -> jax.Array:
        return self._guarded(work, lambda: self.put(np.full((self.share.points, *more), np.nan)))

    def _guarded(self, work: Callable[[], Outcome], otherwise: Callable[[], Outcome]) -> Outcome:
        if self._failure is None:
            try:
                return jax.block_until_ready(work())
            except Exception as error:
                self._failure = error
        return otherwise()


def _free_product(kernel: Kernel, share: Share, points: jax.Array, vector: jax.Array) -> jax.Array:
    own = slice(share.start, share.start + share.each)
    return jnp.zeros_like(vector).at[own].set(expansion.scores(kernel, points[own], points, vector))


def _rounding(kernel: Kernel, share: Share, pieces: Pieces, points: jax.Array, diagonal: jax.Array) -> jax.Array:
    points, diagonal = (jnp.roll(array, -share.start, 0) for array in (points, diagonal))
    result = jnp.zeros(2, diagonal.dtype)
    for (rows, columns), piece in zip(share.blocks, pieces, strict=True):
        some = accuracy.spread(rows.stop - rows.start)
        wide = kernel(points[rows][some], points[columns])
        size = jnp.sqrt(jnp.abs(diagonal[rows][some][:, None] * diagonal[columns]))
        off = accuracy.shares_of(piece[some] - wide, size)
        result += jnp.stack([jnp.sum(off**2), jnp.asarray(off.size, result.dtype)])
    return result
