"""Sums over kernels of samples whose coordinates are compared one by one: images, and vectors of few dimensions."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.native.calls import (
    NARROW,
    PARTS,
    blocks_wide,
    call,
    filled,
    lanes,
    shape,
    sum_of,
    to_blocks,
)
from lightning_gantk.kernels.backends.native.program import Program, program, tape_of_p, tape_of_x
from lightning_gantk.kernels.recursions import Recursion

Array = jax.Array


@dataclass(frozen=True)
class NativeSamples(Backend):
    """Sums over the kernel of an architecture; results as in ``jax_images`` and ``jax_vectors``.

    Attributes:
        recursion: The kernel.
    """

    recursion: Recursion
    name = "native, coordinate by coordinate"
    block = 512

    @staticmethod
    def fits(recursion: Recursion, shape: tuple[int, ...]) -> bool:
        """Whether the native kernels know all of it; ``shape`` is ``(H, W, channels)`` or ``(d,)``."""
        return program(recursion, (shape[0], shape[1]) if len(shape) == 3 else None, wide=1) is not None

    def gram(self, x: Array, y: Array) -> Array:
        return self._values(x, y, symmetric=False).T

    def symmetric_gram(self, x: Array) -> Array:
        return self._values(x, x, symmetric=True)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        most = max(1, tiles.CPU * 16 // (4 * len(points)))
        return tiles.by_rows(lambda x: jnp.matmul(self.gram(x, points), weights, precision="highest"), x, most)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        return self._sums(x, points, weights, own=0)

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        return self._sums(points[:first], points, weights, own=first)

    def _sums(self, x: Array, points: Array, weights: Array, *, own: int) -> tuple[Array, Array]:
        """As ``scores_and_gradient``; x are the first ``own`` of the points, if any."""
        if own <= (PARTS - 1) * (lanes() if x.ndim == 4 else NARROW):
            own = 0  # few blocks have few pairs to share, and make too few parts
        made, (blocks, tape), (p, p_tape) = self._prepare(x, points, symmetric=own > 0)
        parts = 1 if own else min(len(points), max(1, -(-PARTS // blocks.shape[0])))
        results = (
            shape(parts, blocks.shape[0], max(made.wide, 1) * lanes()),
            shape(parts, blocks.shape[0], x.shape[-1], *blocks.shape[2:]),
            shape(parts, *tape.shape),
        )
        arguments = blocks, tape, p, p_tape, weights
        sums = call("sums_of_samples", results, *arguments, own=np.int64(own), **made.attributes())
        values, direct, of_tape = map(sum_of, sums)
        _, pull = jax.vjp(lambda x: self._blocks(x, made)[1], x.real)
        gradient = self._unblock(direct, x.shape) + pull(of_tape)[0]
        return values.reshape(-1)[: len(x)], gradient

    def _values(self, x: Array, y: Array, *, symmetric: bool) -> Array:
        """Kernel values ``(M, N)``."""
        made, (blocks, tape), (p, p_tape) = self._prepare(x, y, symmetric=symmetric)
        result = shape(len(y), blocks.shape[0] * max(made.wide, 1) * lanes())
        arguments = blocks, tape, p, p_tape
        return call("values_of_samples", result, *arguments, symmetric=symmetric, **made.attributes())[:, : len(x)]

    def _prepare(
        self, x: Array, points: Array, *, symmetric: bool
    ) -> tuple[Program, tuple[Array, Array], tuple[Array, Array]]:
        """The program, and samples and tapes of both sides."""
        if x.ndim == 4:
            made = program(self.recursion, (x.shape[1], x.shape[2]), wide=0)
        else:
            wide = blocks_wide(len(x), symmetric=symmetric)
            made = program(self.recursion, None, wide=wide, rests=jnp.iscomplexobj(x))
        assert made is not None  # see fits
        p = jnp.moveaxis(_numbers(points), 2, 0)
        return made, self._blocks(x, made), (p, tape_of_p(self._side(points)))

    def _side(self, x: Array) -> Any:
        pixels = _pixels(x.real)
        return self.recursion.marginals(jnp.mean(pixels * pixels, 0))

    def _blocks(self, x: Array, made: Program) -> tuple[Array, Array]:
        """Samples ``(B, channels, pixels, lanes)`` and their tape ``(B, units, lanes)``, filled up to whole blocks."""
        x = filled(x, made.wide)
        return to_blocks(_numbers(x), made.wide), to_blocks(tape_of_x(self._side(x)), made.wide)

    @staticmethod
    def _unblock(blocks: Array, shape: tuple[int, ...]) -> Array:
        """``(B, channels, pixels, lanes)`` back to samples of ``shape``."""
        samples = jnp.moveaxis(blocks, 3, 1)  # (B, lanes, channels, pixels)
        samples = samples.reshape(-1, *samples.shape[2:])[: shape[0]]
        return jnp.swapaxes(samples, 1, 2).reshape(shape)


def _numbers(x: Array) -> Array:
    """Samples as ``(channels, pixels, N)``, of complex ones first all real parts."""
    pixels = jnp.concatenate([_pixels(x.real), _pixels(x.imag)]) if jnp.iscomplexobj(x) else _pixels(x)
    return pixels.reshape(pixels.shape[0], -1, len(x))


def _pixels(x: Array) -> Array:
    """Images as ``(channels, H, W, N)``, vectors as ``(d, N)``."""
    return jnp.moveaxis(x, (0, 3), (3, 0)) if x.ndim == 4 else x.T
