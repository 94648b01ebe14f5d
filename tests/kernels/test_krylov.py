"""LSGAN's dual weights against a float64 eigendecomposition of the same float32 Gram matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native
from lightning_gantk.kernels.dynamics import contour, krylov
from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow
from lightning_gantk.kernels.dynamics.krylov import phi_product
from lightning_gantk.kernels.dynamics.products import both_ways, matvec
from lightning_gantk.losses import LSGAN


@pytest.fixture(params=["as-on-a-CPU", "as-on-a-GPU"])
def checks_in_steps_of(request, monkeypatch):
    """Both ways to solve the small problem, on the CPU; the products between two looks at it in the first stage."""
    if request.param == "as-on-a-CPU":
        return 4
    monkeypatch.setattr(krylov, "_BY_EIGENVALUES", krylov._ON_GPU)
    return 8


@pytest.fixture
def restarts(monkeypatch):
    """A basis of eight vectors at the most: longer times take a new one."""
    monkeypatch.setattr(krylov, "_STAGES", (8,))
    monkeypatch.setattr(krylov, "_WHOLE", 0)


def _matrix(n, dimensions, *, duplicates):
    points = np.random.default_rng(0).standard_normal((2 * n, dimensions)).astype(np.float32)
    points[n:] += 0.5
    if duplicates:
        points[n // 2 : n], points[n] = points[: n // 2], points[0]
    return np.asarray(expansion.gram(ArchitectureKernel(MLP(3)), jnp.asarray(points)))


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
    _weights_are_right(dimensions, duplicates, time)


@pytest.mark.parametrize("duplicates", [False, True], ids=["distinct", "duplicates"])
def test_float32_weights_lose_nothing_on_a_gpu(duplicates, monkeypatch):
    monkeypatch.setattr(krylov, "_BY_EIGENVALUES", krylov._ON_GPU)
    _weights_are_right(2, duplicates, 1e5, every=8)


def _weights_are_right(dimensions, duplicates, time, every=0):
    n = 60
    matrix = _matrix(n, dimensions, duplicates=duplicates)
    signs = np.where(np.arange(2 * n) < n, -1.0, 1.0)
    exact = _phi(matrix, 4 * time / (2 * n)) @ signs
    compiled = CompiledDiscriminator(ArchitectureKernel(MLP(3)), GradientFlow(LSGAN(), time, 1e-5), "float32")
    found = compiled.kept_weights(jnp.asarray(matrix), jnp.full(2 * n, 1 / n), n)
    assert found.converged and found.error <= 1e-5 and found.products <= 2 * n + every
    difference = np.asarray(found.weights, np.float64) - exact
    # The bound that is asked for, in the norm it is for (that of the score function), and the rounding of the weights
    # to float32, each by at most 2^-24 of itself: a duplicate with two labels has weights of the order of t.
    wide = np.asarray(matrix, np.float64)
    error, size = (np.sqrt(max(v @ wide @ v, 0)) for v in (difference, exact))
    rounding = 2.0**-24 * np.linalg.norm(exact)
    assert error <= 1e-5 * size + rounding * np.sqrt(np.linalg.norm(wide, 2))
    assert np.linalg.norm(difference) <= 1e-4 * np.linalg.norm(exact)


def test_iteration_stops_on_the_error_and_not_on_a_count(checks_in_steps_of):
    eigenvalues = np.concatenate([[50.0], np.full(99, 0.01)])
    with jax.enable_x64(True):
        diagonal, b = jnp.asarray(eigenvalues), jnp.ones(100)
        easy = phi_product(lambda v: diagonal * v, b, 1.0, 1e-9)
        spread = jnp.linspace(0.01, 50, 100)
        hard = phi_product(lambda v: spread * v, b, 1.0, 1e-9)
    for (found, _, error), values in ((easy, eigenvalues), (hard, np.linspace(0.01, 50, 100))):
        np.testing.assert_allclose(found, -np.expm1(-values) / values, rtol=1e-7)
        assert error <= 1e-9
    assert easy[1] <= checks_in_steps_of < hard[1]


def test_right_hand_side_that_hides_an_eigenvector_does_not_fool_the_stopping_rule(checks_in_steps_of):
    values = np.linspace(0.1, 30, 64)
    hidden = np.ones(64)
    hidden[-1] = 1e-6  # the largest eigenvalue is all but absent at first
    with jax.enable_x64(True):
        found, _, _ = phi_product(lambda v: jnp.asarray(values) * v, jnp.asarray(hidden), 5.0, 1e-9)
    np.testing.assert_allclose(found, -np.expm1(-5 * values) / values * hidden, rtol=1e-6)


@pytest.mark.parametrize(("time", "some"), [(1.0, 0), (30.0, 1), (1e4, 10)])
def test_basis_that_is_too_small_is_taken_anew_from_where_it_ends(time, some, restarts, checks_in_steps_of):
    values = np.linspace(1e-4, 2, 100)
    b = np.random.default_rng(0).standard_normal(100)
    with jax.enable_x64(True):
        found, count, error = phi_product(lambda v: jnp.asarray(values) * v, jnp.asarray(b), time, 1e-9)
    exact = -np.expm1(-time * values) / values * b
    energy = np.sqrt(values @ (found - exact) ** 2 / (values @ exact**2))
    assert energy <= error <= 1e-8  # each basis may add 1e-9 of what it adds itself
    assert count > 9 * some


def test_basis_that_is_taken_anew_without_end_is_given_up(restarts, monkeypatch):
    monkeypatch.setattr(krylov, "_RESTARTS", 2)
    values = np.linspace(1e-4, 2, 100)
    with jax.enable_x64(True):
        _, _, error = phi_product(lambda v: jnp.asarray(values) * v, jnp.ones(100), 1e4, 1e-9)
    assert np.isnan(error)


@pytest.mark.parametrize("size", [1, 2, 31, 100])
@pytest.mark.parametrize("time", [0.0, 1.0, 1e5])
def test_contour_gives_phi_of_a_tridiagonal_matrix(size, time):
    """Against eigenvalues that are known: those of the second difference, from 1e-3 to 4."""
    angles = np.arange(1, size + 1) * np.pi / (size + 1)
    values = 2 - 2 * np.cos(angles)
    vectors = np.sqrt(2 / (size + 1)) * np.sin(np.outer(np.arange(1, size + 1), angles))
    exact = vectors @ (np.where(time > 0, -np.expm1(-time * values) / values, 0) * vectors[0])
    with jax.enable_x64(True):
        for dtype in (np.float64, np.float32):
            found = contour.phi_first_column(jnp.full(size, 2, dtype), jnp.full(size - 1, -1, dtype), time)
            assert found.dtype == dtype
            # The entries of T are exact here. Each step of the reduction rounds like a change of T by units of its
            # largest eigenvalue, 4, and the least is what it is held against.
            units = contour.ROUNDING + np.ceil(np.log2(size)) * 4 / values.min()
            assert np.linalg.norm(found - exact) <= units * np.finfo(dtype).eps * np.linalg.norm(exact)


@pytest.mark.skipif(not native.available(), reason="no C++ compiler")
@pytest.mark.parametrize("size", [1, 7, 64, 131, 300])
def test_native_product_of_a_float32_matrix_rounds_like_float64(size):
    half = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    matrix, vector = half + half.T, np.random.default_rng(1).standard_normal(size)
    with jax.enable_x64(True):
        found = matvec(jnp.asarray(matrix), jnp.asarray(vector))
    exact = np.asarray(matrix, np.float64) @ vector
    np.testing.assert_allclose(found, exact, atol=1e-13 * size * np.abs(matrix).max())


@pytest.mark.skipif(not native.available(), reason="no C++ compiler")
@pytest.mark.parametrize("shape", [(1, 1), (7, 130), (131, 9), (64, 64)])
def test_native_product_both_ways_rounds_like_float64(shape):
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal(shape).astype(np.float32)
    along, across = generator.standard_normal(shape[1]), generator.standard_normal(shape[0])
    with jax.enable_x64(True):
        found = both_ways(*map(jnp.asarray, (matrix, along, across)))
    for result, exact in zip(found, (matrix.astype(float) @ along, across @ matrix.astype(float)), strict=True):
        np.testing.assert_allclose(result, exact, atol=1e-13 * sum(shape))


@pytest.mark.parametrize("time", [1.0, 30.0])
def test_bound_is_relative(time, restarts):
    """Powers of two are exact: a longer right-hand side has the same steps, and the same error over its solution."""
    b = np.random.default_rng(0).standard_normal(100)
    with jax.enable_x64(True):
        values = jnp.linspace(1e-4, 2, 100)
        (one, count, error), (other, again, same) = (
            phi_product(lambda v: values * v, jnp.asarray(scale * b), time, 1e-9) for scale in (1, 2.0**20)
        )
    assert count == again > 8
    np.testing.assert_array_equal(np.asarray(other), 2.0**20 * np.asarray(one))
    assert error == same


def test_basis_is_orthonormal_to_rounding():
    """Each step takes most of an image away, and what is left has the rounding of it all."""
    with jax.enable_x64(True):
        values = jnp.asarray(10.0 ** -np.arange(0.0, 16.0, 0.5))
        state, _ = krylov._begin(jnp.ones(32))
        empty = jnp.zeros(12)
        state = state._replace(basis=jnp.zeros((12, 32)), diagonal=empty, off_diagonal=empty, coefficients=empty)
        for _ in range(12):
            state = krylov._extend(state, values * state.direction)
        basis = np.asarray(state.basis)
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), rtol=0, atol=32 * 2.0**-52)


@pytest.mark.parametrize("way", [krylov._BY_EIGENVALUES, krylov._ON_GPU], ids=["eigenvalues", "contour"])
def test_bound_of_a_basis_of_one(way):
    """The last coefficient is phi = (1 - exp(-t a)) / a, |v|_A = sqrt(a) phi, and the bound beta phi sqrt(2 t / e)."""
    a, beta, time = 0.7, 0.2, 3.0
    with jax.enable_x64(True):
        state, _ = krylov._begin(jnp.ones(2))
        numbers = {"diagonal": a, "off_diagonal": beta, "coefficients": 0.0}
        arrays = {name: jnp.array([number]) for name, number in numbers.items()}
        found = krylov._check(state._replace(basis=jnp.ones((1, 2)), length=jnp.array(1), **arrays), time, way)
        # a contour has 12 digits
        np.testing.assert_allclose(found.error, beta * np.sqrt(2 * time / (np.e * a)), rtol=1e-11)
