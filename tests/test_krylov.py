"""LSGAN's dual weights against a float64 eigendecomposition of the same float32 Gram matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import native, products
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.dynamics import Dynamics, matvec
from lightning_gantk.kernels.engine import Engine
from lightning_gantk.kernels.krylov import phi_product
from lightning_gantk.losses import LSGAN


def _matrix(n, dimensions, *, duplicates):
    points = np.random.default_rng(0).standard_normal((2 * n, dimensions)).astype(np.float32)
    points[n:] += 0.5
    if duplicates:
        points[n // 2 : n], points[n] = points[: n // 2], points[0]
    return np.asarray(products.gram(ArchitectureKernel(MLP(3)), jnp.asarray(points)))


def _phi(matrix, time):
    values, vectors = np.linalg.eigh(np.asarray(matrix, np.float64))
    values = np.maximum(values, 0)
    small = values * time < 1e-12
    phi = np.where(small, time, -np.expm1(-time * values) / np.where(small, 1, values))
    return (vectors * phi) @ vectors.T


@pytest.mark.parametrize("time", [1.0, 1e3, 1e5])
@pytest.mark.parametrize("duplicates", [False, True], ids=["distinct", "duplicates"])
@pytest.mark.parametrize("dimensions", [2, 50])
def test_float32_weights_lose_nothing_at_long_times(dimensions, duplicates, time):
    n = 60
    matrix = _matrix(n, dimensions, duplicates=duplicates)
    signs = np.where(np.arange(2 * n) < n, -1.0, 1.0)
    exact = _phi(matrix, 4 * time / (2 * n)) @ signs
    engine = Engine(ArchitectureKernel(MLP(3)), Dynamics(LSGAN(), time, 1e-5), "float32")
    weights, converged, count = engine.kept_weights(jnp.asarray(matrix), jnp.full(2 * n, 1 / n), n)
    assert converged and count <= 2 * n
    difference = np.asarray(weights, np.float64) - exact
    # The bound that is asked for, in the norm it is for (that of the score function), and the rounding of the weights
    # to float32, each by at most 2^-24 of itself: a duplicate with two labels has weights of the order of t.
    wide = np.asarray(matrix, np.float64)
    error, size = (np.sqrt(max(v @ wide @ v, 0)) for v in (difference, exact))
    rounding = 2.0**-24 * np.linalg.norm(exact)
    assert error <= 1e-5 * size + rounding * np.sqrt(np.linalg.norm(wide, 2))
    assert np.linalg.norm(difference) <= 1e-4 * np.linalg.norm(exact)


def test_iteration_stops_on_the_error_and_not_on_a_count():
    eigenvalues = np.concatenate([[50.0], np.full(99, 0.01)])
    with jax.enable_x64(True):
        diagonal, b = jnp.asarray(eigenvalues), jnp.ones(100)
        easy = phi_product(lambda v: diagonal * v, b, 1.0, 1e-9)
        spread = jnp.linspace(0.01, 50, 100)
        hard = phi_product(lambda v: spread * v, b, 1.0, 1e-9)
    for (found, _), values in ((easy, eigenvalues), (hard, np.linspace(0.01, 50, 100))):
        np.testing.assert_allclose(found, -np.expm1(-values) / values, rtol=1e-7)
    assert easy[1] <= 4 < hard[1]


def test_right_hand_side_that_hides_an_eigenvector_does_not_fool_the_stopping_rule():
    values = np.linspace(0.1, 30, 64)
    hidden = np.ones(64)
    hidden[-1] = 1e-6  # the largest eigenvalue is all but absent at first
    with jax.enable_x64(True):
        found, _ = phi_product(lambda v: jnp.asarray(values) * v, jnp.asarray(hidden), 5.0, 1e-9)
    np.testing.assert_allclose(found, -np.expm1(-5 * values) / values * hidden, rtol=1e-6)


@pytest.mark.skipif(not native.available(), reason="no C++ compiler")
@pytest.mark.parametrize("size", [1, 7, 64, 131, 300])
def test_native_product_of_a_float32_matrix_rounds_like_float64(size):
    half = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    matrix, vector = half + half.T, np.random.default_rng(1).standard_normal(size)
    with jax.enable_x64(True):
        found = matvec(jnp.asarray(matrix), jnp.asarray(vector))
    exact = np.asarray(matrix, np.float64) @ vector
    np.testing.assert_allclose(found, exact, atol=1e-13 * size * np.abs(matrix).max())
