"""Sums over kernels of images on a GPU: one kernel for a convolution and what pixels went through before it.

``jax_images`` says what is summed; ``chain`` how a recursion is cut. Maps of pairs are kept after each window. On the
way back a kernel gathers what windows have for a pixel, turns it by the derivatives of what the pixel went through (the
rules' own, by JAX), and sums over the points what it has for the tape.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.pallas import image_kernels
from lightning_gantk.kernels.backends.pallas.calls import call, lanes, pad, shape, up_to
from lightning_gantk.kernels.backends.pallas.chain import Chain, Exact, Maps, chain_of, difference
from lightning_gantk.kernels.recursions import Recursion, Tape

Array = jax.Array


@dataclass(frozen=True)
class Sizes:
    """How work is divided.

    Attributes:
        block: Training and test points of a program on the way forward, at once: each side is read once for all of the
            other.
        warps: Of such a program: with two, a thread has two pairs, and more threads fit.
        back: Test points of a program on the way back, at most: two for each thread.
        lanes: Test points of a program that reads pixels, at the first window and for the gradient, at most: four for
            each thread.
        points: Training points of the last two, one after the other.
        stripe: Rows of windows of a program, at most.
        first: The same of the first window, which reads pixels.
        span: Pixels of a program that puts the gradient together, at most.
        rows: Test points of a tile, at most.
        memory: Bytes of all maps of a tile.
    """

    block: tuple[int, int] = 4, 32
    warps: int = 2
    back: int = 64
    lanes: int = 128
    points: int = 16
    stripe: int = 2
    first: int = 4
    span: int = 2
    rows: int = 256
    memory: int = 2 * 2**30


@dataclass(frozen=True)
class PallasImages(Backend):
    """Sums over the kernel of an architecture for images ``(N, H, W, channels)``, in float32.

    Attributes:
        recursion: The kernel.
        interpret: Whether to run without a GPU, slowly.
        sizes: How work is divided.
    """

    recursion: Recursion
    interpret: bool = False
    sizes: Sizes = Sizes()
    name = "Pallas, pixel by pixel"

    @staticmethod
    def fits(recursion: Recursion) -> bool:
        """Whether the layers are a chain."""
        return chain_of(recursion) is not None

    @property
    def chain(self) -> Chain:
        chain = chain_of(self.recursion)
        assert chain is not None  # see fits
        return chain

    def gram(self, x: Array, y: Array) -> Array:
        rows, columns = self._tile(x, y)

        def against(x: Array) -> Array:
            side = self._side(x, self._lanes(x))
            return tiles.by_rows(lambda y: self._values(side, y)[:, : len(x)], y, columns).T

        return tiles.by_rows(against, x, rows)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        rows, columns = self._tile(x, points)
        count, each = tiles.even(len(points), columns)
        parts = tiles.split(points, count, each), tiles.split_weights(weights, count, each)

        def of(x: Array) -> Array:
            side = self._side(x, self._lanes(x))
            return tiles.accumulate(lambda part: part[1] @ self._values(side, part[0]), parts)[: len(x)]

        return tiles.by_rows(of, x, rows)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        rows, columns = self._tile(x, points)
        count, each = tiles.even(len(points), columns)
        parts = tiles.split(points, count, each), tiles.split_weights(weights, count, each)

        def of(x: Array) -> tuple[Array, Array]:
            pixels = tiles.pixels(tiles.fill(x, up_to(len(x), self._lanes(x))))
            (tapes, tail), pull = jax.vjp(self._tapes, pixels)
            side = _Side(pixels, tapes, tail, self.chain.exact(pixels))
            sums = tiles.accumulate(lambda part: self._sums(side, part[0], part[1]), parts)
            values, direct, of_side = sums
            gradient = direct + pull(of_side)[0]
            return values[: len(x)], jnp.moveaxis(gradient, (0, 3), (3, 0))[: len(x)]

        return tiles.by_rows(of, x, rows)

    def _tile(self, x: Array, points: Array) -> tuple[int, int]:
        """Most test and training points of a tile."""
        rows = min(len(x), self.sizes.rows)
        pixels = sum(height * width for height, width in self._shapes(*x.shape[1:3])[1:])
        return rows, max(
            self.sizes.points, min(len(points), self.sizes.memory // (4 * 4 * pixels * up_to(rows, self._lanes(x))))
        )

    def _shapes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Of the images, and of the maps after each window."""
        shapes = [(height, width)]
        for window in self.chain.windows:
            shapes.append(window.shape(shapes[-1]))
        return shapes

    def _lanes(self, x: Array) -> int:
        """What the number of test points is filled up to a multiple of."""
        return lanes(len(x), least=16, most=self.sizes.lanes)

    def _tapes(self, pixels: Array) -> Any:
        return self.chain.marginals(jnp.mean(pixels * pixels, 0))

    def _side(self, samples: Array, multiple: int) -> "_Side":
        """Samples filled up to a multiple."""
        pixels = tiles.pixels(tiles.fill(samples, up_to(len(samples), multiple)))
        tapes, tail = self._tapes(pixels)
        return _Side(pixels, tapes, tail, self.chain.exact(pixels))

    def _values(self, x: "_Side", points: Array) -> Array:
        """Kernel values ``(C, R)`` of all rows of a filled side."""
        p = self._side(points, self.sizes.points)
        return self._last(self._forward(x, p)[-1], x.tail, x, p)[: len(points)]

    def _last(self, maps: Maps, x_tail: Any, x: "_Side", p: "_Side") -> Array:
        between = difference(jax.tree.map(lambda part: part[..., None, :], x.exact[-1]), _columns(p.exact[-1]))
        return self.chain.tail.kernel(maps["v"], between, x_tail, p.tail, theta=maps.get("theta"))

    def _sums(self, x: "_Side", points: Array, w: Array) -> tuple[Array, Array, Any]:
        """Scores ``(R,)``, the gradient by distances in the shape of the pixels, and the adjoint of the tapes."""
        p, chain = self._side(points, self.sizes.points), self.chain
        w = pad(w, p.pixels.shape[-1])
        kept = self._forward(x, p)
        values, pull = jax.vjp(lambda maps, tail: self._last(maps, tail, x, p), kept[-1], x.tail)
        bars, of_tail = pull(jnp.broadcast_to(w[:, None], values.shape))
        moving = chain.moving(jnp.zeros((*x.pixels.shape[1:3], 1)))
        of_tapes = []
        for stage in reversed(range(len(chain.windows) - 1)):
            bars, of_tape = self._backward(stage, kept[stage], bars, x, p, moving[stage])
            of_tapes.insert(0, of_tape)
        return w @ values, self._direct(bars["v"], x.pixels, p.pixels), (of_tapes, of_tail)

    def _forward(self, x: "_Side", p: "_Side") -> list[Maps]:
        """Maps ``(H, W, C, R)`` after each window."""
        count, points = x.pixels.shape[-1], p.pixels.shape[-1]
        shapes, kept = self._shapes(*x.pixels.shape[1:3]), []
        for stage, (height, width) in enumerate(shapes[1:]):
            names = ("v", "theta") if self.chain.ntk and stage else ("v",)
            results = dict.fromkeys(names, shape(height, width, points, count))
            arguments: Any = x.pixels, _columns(p.pixels)
            (high, wide), warps, rows = (1, self.sizes.lanes), 1, self.sizes.first
            if stage:
                arguments = kept[-1], x.stage(stage - 1), _columns(p.stage(stage - 1))
                (high, wide), warps, rows = self.sizes.block, self.sizes.warps, self.sizes.stripe
            block, rows = (high, min(wide, count)), math.gcd(height, rows)
            kernel = functools.partial(
                image_kernels.forward, self.chain, stage, shapes[stage], block, rows, self.interpret
            )
            grid = height // rows, count // block[1], points // high
            kept.append(self._call(kernel, results, arguments, grid, f"forward_{stage}", warps))
        return kept

    def _backward(
        self, stage: int, maps: Maps, bars: Maps, x: "_Side", p: "_Side", moving: list[bool]
    ) -> tuple[Maps, Any]:
        """From the adjoint after the next window, that after this one, and that of the tape."""
        height, width, points, count = maps["v"].shape
        wide, parts = min(self.sizes.back, count), points // self.sizes.points
        groups = self.chain.windows[stage + 1].groups(width)
        sums = [shape(parts, height, width, count) for moves in moving if moves]
        results = {name: shape(*array.shape) for name, array in maps.items()}, sums
        kernel = functools.partial(
            image_kernels.backward, self.chain, stage, (height, width), wide, self.sizes.points, moving, self.interpret
        )
        grid = height * groups, count // wide, parts
        arguments = maps, bars, x.stage(stage), _columns(p.stage(stage))
        made, sums = self._call(kernel, results, arguments, grid, f"backward_{stage}")
        leaves, form = jax.tree.flatten(x.tapes[stage])
        sums = [jnp.sum(part, 0) for part in sums]
        leaves = [sums.pop(0) if moves else jnp.zeros_like(leaf) for leaf, moves in zip(leaves, moving, strict=True)]
        return made, jax.tree.unflatten(form, leaves)

    def _direct(self, bar: Array, x: Array, p: Array) -> Array:
        """The gradient by the pixels' distances, ``(channels, H, W, R)``."""
        _, height, width, count = x.shape
        wide, parts = min(self.sizes.lanes, count), p.shape[-1] // self.sizes.points
        span = math.gcd(width, self.sizes.span)
        kernel = functools.partial(
            image_kernels.direct, self.chain.windows[0], wide, self.sizes.points, span, self.interpret
        )
        grid = height * width // span, count // wide, parts
        return jnp.sum(self._call(kernel, shape(parts, *x.shape), (bar, x, _columns(p)), grid, "direct"), 0)

    def _call(self, kernel: Any, results: Any, arguments: Any, grid: tuple[int, ...], name: str, warps: int = 1) -> Any:
        return call(kernel, results, arguments, name=f"gantk_{name}", grid=grid, interpret=self.interpret, warps=warps)


class _Side(NamedTuple):
    """Samples as pairs need them.

    Attributes:
        pixels: ``(channels, H, W, N)``.
        tapes: Of what pixels go through after each window but the last.
        tail: Of what comes after that.
        exact: Mean squares after each window.
    """

    pixels: Array
    tapes: list[Tape]
    tail: tuple[Array, Tape]
    exact: list[Exact]

    def stage(self, stage: int) -> tuple[Tape, Exact]:
        """What pairs need after a window."""
        return self.tapes[stage], self.exact[stage]


def _columns(arrays: Any) -> Any:
    """Of training points, as blocks of pairs have them: ``(..., C, 1)``."""
    return jax.tree.map(lambda array: array[..., None], arrays)
