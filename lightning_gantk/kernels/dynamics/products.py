"""Products of a matrix in single precision with vectors in double, without a wide copy of the matrix."""

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.backends import native
from lightning_gantk.kernels.backends.platforms import by_platform


def matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """A symmetric matrix ``(P, P)`` times a vector, in the precision of the vector on every device."""
    if matrix.dtype == vector.dtype:
        return jnp.matmul(matrix, vector, precision="highest")
    on_cpu = native.matvec if native.available() else _matvec
    return by_platform(cpu=on_cpu, other=_matvec)(matrix, vector)


def both_ways(matrix: jax.Array, vector: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``A v`` and ``A' u`` of any matrix ``(N, M)``, in the precision of the vectors."""
    if matrix.dtype == vector.dtype:
        return jnp.matmul(matrix, vector, precision="highest"), jnp.matmul(matrix.T, other, precision="highest")
    on_cpu = native.both_ways if native.available() else _both_ways
    return by_platform(cpu=on_cpu, other=_both_ways)(matrix, vector, other)


def forth(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """``A v`` of any matrix ``(N, M)``, in the precision of the vector."""
    if matrix.dtype == vector.dtype:
        return jnp.matmul(matrix, vector, precision="highest")

    def natively(matrix: jax.Array, vector: jax.Array) -> jax.Array:
        return native.both_ways(matrix, vector, jnp.zeros(len(matrix), vector.dtype))[0]  # reading A is the cost

    return by_platform(cpu=natively if native.available() else _matvec, other=_matvec)(matrix, vector)


def back(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """``A' u`` of any matrix ``(N, M)``, in the precision of the vector."""
    if matrix.dtype == vector.dtype:
        return jnp.matmul(matrix.T, vector, precision="highest")

    def natively(matrix: jax.Array, vector: jax.Array) -> jax.Array:
        return native.both_ways(matrix, jnp.zeros(matrix.shape[1], vector.dtype), vector)[1]

    def plainly(matrix: jax.Array, vector: jax.Array) -> jax.Array:
        return _matvec(matrix.T, vector)

    return by_platform(cpu=natively if native.available() else plainly, other=plainly)(matrix, vector)


def _matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """In one pass."""
    return jnp.sum(matrix.astype(vector.dtype) * vector, 1)


def _both_ways(matrix: jax.Array, vector: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _matvec(matrix, vector), _matvec(matrix.T, other)
