"""Near pairs: those of which a matrix product leaves too few digits. They are left out of a tile, and put back.

Distances from a matrix product of centred samples have an error of the rounding of the samples' lengths. Where a pair
is much closer than that, and the kernel can tell (a ReLU-type kernel has its cusp there), the pair is found, left out
of the tile, and worked out from exact differences, one for each test point and turn: in training that is every fake
against itself, one turn.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array

# v / (q_x + q_p) of centred samples below which a matrix product leaves v fewer than 4 digits in float32, 8 in float64.
NEAR = {"float32": 1e-3, "float64": 1e-8}
# The same where the samples are far from 0: below it the difference of two lengths has fewer than 4 (8) digits.
CLOSE = {"float32": 1e-6, "float64": 1e-15}
# Lengths q_x + q_p, over the squared distance across which a smooth kernel changes, up to which it cannot tell: an
# error of q times the rounding moves it by less than 1e-5 in float32, 1e-9 in float64.
SMOOTH = {"float32": 40.0, "float64": 1e6}
_TURNS = 2  # a fake against itself, and one twin


def near(v: Array, centred: Array, lengths: Array, scale: float) -> Array:
    """Which pairs are near ``(C, R)``.

    Args:
        v: Mean squared distances ``(C, R)`` from a matrix product.
        centred: ``q_x + q_p`` of the centred samples that it was taken of.
        lengths: The same of the samples themselves.
        scale: The mean squared distance across which the kernel changes; 0 where it has a cusp.
    """
    dtype = v.dtype.name
    close = v < jnp.maximum(NEAR[dtype] * centred, CLOSE[dtype] * lengths)
    return close & (centred > SMOOTH[dtype] * scale) if scale else close


def turn_by_turn(
    marked: Array,
    put_back: Callable[[Array, Array, Any], Any],
    state: Any,
    rest: Callable[[Array, Any], Any] | None = None,
) -> Any:
    """Calls ``put_back(j, has, state)`` with one marked point j (R,) of each test point, until none is left.

    Args:
        marked: ``(C, R)``.
        put_back: Gives the state anew; ``has`` (R,) says which test points still have one.
        state: A pytree.
        rest: On a GPU, where the host is asked at each turn: after two turns, whether any are left or not, what
            becomes of the state by all pairs that are ``(C, R)``. It bounds the cost where all samples have run into
            one.
    """
    rows = jnp.arange(marked.shape[0])[:, None]

    def step(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        left, state = carry
        j = jnp.argmax(left, 0)
        return left & (rows != j), put_back(j, jnp.any(left, 0), state)

    if rest is None:
        return jax.lax.while_loop(lambda carry: jnp.any(carry[0]), step, (marked, state))[1]
    left, state = jax.lax.fori_loop(0, _TURNS, lambda _, carry: step(carry), (marked, state))
    return jax.lax.cond(jnp.any(left), rest, lambda _, state: state, left, state)
