"""Euclidean distances with gradients that are exact where points meet.

``|x - y|`` has a kink at x = y: its gradient there is taken as 0, the mean over all directions. In training every fake
meets itself, so this is no rare case. Distances from a matrix product lose their digits between near neighbours, and a
gradient in the direction (x - y) / |x - y| then points anywhere: such pairs are taken from exact differences.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
_FEW = 16  # dimensions up to which differences are taken one by one: exact, and as cheap as a matrix product
# |x - y|^2 / (|x|^2 + |y|^2), about the mean of y, below which a matrix product leaves fewer than 4 digits (8 in
# float64) of it.
_NEAR = {"float32": 1e-3, "float64": 1e-8}


def distances(x: Array, y: Array) -> Array:
    """``|x_i - y_j|`` of samples ``(N, ...)`` and ``(M, ...)`` as ``(N, M)``.

    Differentiable once, in both. At coincident points the distance is exactly 0, and so is its gradient.
    """
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    if x.shape[1] <= _FEW:
        squared = sum((x[:, None, c] - y[None, :, c]) ** 2 for c in range(x.shape[1]))
        apart = squared > 0  # both branches of a `where` are differentiated: none may divide by 0
        return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1)), 0)
    return _distances(x, y)


def squared_distances(x: Array, y: Array) -> Array:
    """``|x_i - y_j|^2`` of samples ``(N, ...)`` and ``(M, ...)`` as ``(N, M)``, never negative."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    if x.shape[1] <= _FEW:
        return sum((x[:, None, c] - y[None, :, c]) ** 2 for c in range(x.shape[1]))
    centre = jax.lax.stop_gradient(jnp.mean(y, 0))  # differences of samples far from 0 would lose their digits
    x, y = x - centre, y - centre
    inner = jnp.matmul(x, y.T, precision="highest")
    return jnp.maximum(jnp.sum(x * x, 1)[:, None] + jnp.sum(y * y, 1)[None] - 2 * inner, 0)


@jax.custom_vjp
def _distances(x: Array, y: Array) -> Array:
    return _forward(x, y)[0]


def _forward(x: Array, y: Array) -> tuple[Array, Any]:
    centre = jnp.mean(y, 0)
    a, b = x - centre, y - centre
    size = jnp.sum(a * a, 1)[:, None] + jnp.sum(b * b, 1)[None]
    squared = jnp.maximum(size - 2 * jnp.matmul(a, b.T, precision="highest"), 0)
    near = squared < _NEAR[x.dtype.name] * size
    rows = jnp.arange(len(x))

    def correct(j: Array, has: Array, found: Array) -> Array:
        exact = jnp.linalg.norm(x - y[j], axis=1)
        return found.at[rows, j].set(jnp.where(has, exact, found[rows, j]))

    found = _each_near_pair(near, correct, jnp.sqrt(squared))
    return found, (x, y, centre, found, near)


def _backward(saved: Any, upstream: Array) -> tuple[Array, Array]:
    x, y, centre, found, near = saved
    slopes = _over(upstream, found)
    smooth = jnp.where(near, 0, slopes)
    product = functools.partial(jnp.matmul, precision="highest")
    a, b = x - centre, y - centre
    in_x = jnp.sum(smooth, 1)[:, None] * a - product(smooth, b)
    in_y = jnp.sum(smooth, 0)[:, None] * b - product(smooth.T, a)
    rows = jnp.arange(len(x))

    def add(j: Array, has: Array, gradients: tuple[Array, Array]) -> tuple[Array, Array]:
        step = jnp.where(has, slopes[rows, j], 0)[:, None] * (x - y[j])
        return gradients[0] + step, gradients[1].at[j].add(-step)

    return _each_near_pair(near, add, (in_x, in_y))


_distances.defvjp(_forward, _backward)


def _over(numerator: Array, denominator: Array) -> Array:
    """The quotient, 0 where the denominator is."""
    apart = denominator > 0
    return jnp.where(apart, numerator / jnp.where(apart, denominator, 1), 0)


def _each_near_pair(near: Array, update: Callable, state: Any) -> Any:
    """Calls ``update(j, has, state)`` with one near y of each x, (N,), turn by turn until none is left."""
    columns = jnp.arange(near.shape[1])[None]

    def turn(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        left, state = carry
        j = jnp.argmax(left, 1)
        return left & (columns != j[:, None]), update(j, jnp.any(left, 1), state)

    return jax.lax.while_loop(lambda carry: jnp.any(carry[0]), turn, (near, state))[1]
