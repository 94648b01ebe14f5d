"""Kernel expansions, tile by tile: accuracy in float32 where it is hard, which backend ran, tiles, symmetry."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from oracle import stored
from oracle.problems import FAMILIES

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import RBF, expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native, tiles
from lightning_gantk.kernels.base import FunctionKernel
from lightning_gantk.losses import IPM
from lightning_gantk.testing.jax_side import sums

BACKENDS = ["jax", *(["native"] if native.available() else [])]
QUICK = [pytest.param("jax", marks=pytest.mark.slow), "native"] if native.available() else BACKENDS
SHAPES = {"mlp-vectors": (MLP(3), (40,)), "mlp-plane": (MLP(3), (2,)), "dcgan": (DCGAN(2), (6, 6, 1))}
SCORES, GRADIENT = 1e-5, 1e-3  # asked of float32, relative to the float64 result


def _samples(shape, n=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def _run(kernel, x, points, weights, first=None):
    run = jax.jit(lambda x, p, w: expansion.scores_and_gradient(kernel, x, p, w, first))
    return [np.asarray(a) for a in run(*map(jnp.asarray, (x, points, weights)))]


@functools.cache
def _kernel(case, backend):
    """One for all tests: it is compiled once for its samples."""
    return ArchitectureKernel(SHAPES[case][0], backend=backend)


def _check(case, backend, x, points):
    """Of 5 test points and 7 training points, the first 5 of which are the fakes."""
    weights = np.random.default_rng(7).uniform(0.5, 1, len(points)).astype(np.float32)
    scores, gradient = sums(_kernel(case, "jax"), x, points, weights, "float64", 5)
    found = sums(_kernel(case, backend), x, points, weights, "float32", 5)
    assert np.isfinite(found[1]).all()
    assert np.linalg.norm(found[0] - scores) <= SCORES * np.linalg.norm(scores)
    assert np.linalg.norm(found[1] - gradient) <= GRADIENT * np.linalg.norm(gradient)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("distance", [0, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("case", SHAPES)
def test_near_and_coincident_samples_keep_their_gradient(case, distance, backend):
    shape = SHAPES[case][1]
    x = _samples(shape)
    points = np.concatenate([x + distance * _samples(shape, seed=1), _samples(shape, 2, seed=2)])
    _check(case, backend, x, points)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("case", SHAPES)
def test_tiny_and_huge_samples_keep_their_gradient(case, scale, backend):
    shape = SHAPES[case][1]
    _check(case, backend, scale * _samples(shape), scale * _samples(shape, 7, seed=1))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", SHAPES)
def test_cluster_far_from_the_origin_keeps_its_gradient(case, backend):
    shape = SHAPES[case][1]
    x = 1 + 1e-3 * _samples(shape)
    _check(case, backend, x, np.concatenate([1 + 1e-3 * _samples(shape, seed=1), _samples(shape, 2)]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("b_std", [None, 1.0])
def test_zero_sample_has_a_finite_symmetric_derivative(b_std, backend):
    x, points = np.zeros((1, 3), np.float32), np.array([[3.0, 0, 4]], np.float32)
    with jax.enable_x64(True):
        kernel, unit = ArchitectureKernel(MLP(1, b_std=b_std), backend="jax"), jnp.asarray(points, "float64") / 5
        plus, minus = (kernel(jnp.asarray(x, "float64") + s * unit, 5 * unit)[0, 0] for s in (1e-4, -1e-4))
    _, gradient = _run(ArchitectureKernel(MLP(1, b_std=b_std), backend=backend), x, points, np.ones(1, np.float32))
    # the slope along the point: a central difference, right to its step
    assert gradient[0] @ points[0] / 5 == pytest.approx(float(plus - minus) / 2e-4, abs=1e-4)


@pytest.mark.parametrize("backend", QUICK)
@pytest.mark.parametrize("name", FAMILIES["diagonals"])
def test_diagonal_is_right_to_five_digits(name, backend):
    problem = FAMILIES["diagonals"][name]
    x = jnp.asarray(problem.inputs())
    diagonal = np.diag(np.asarray(ArchitectureKernel(problem.architecture, backend=backend)(x, x)))
    np.testing.assert_allclose(diagonal, stored("diagonals", name)["diagonal"], rtol=1e-5)


@pytest.mark.parametrize("backend", QUICK)
@pytest.mark.parametrize("case", SHAPES)
def test_tiles_and_ragged_sizes_change_nothing(case, backend, monkeypatch):
    architecture, shape = SHAPES[case]
    kernel, x, points = (
        ArchitectureKernel(architecture, backend=backend),
        _samples(shape, 37),
        _samples(shape, 41, seed=1),
    )
    weights = np.random.default_rng(2).uniform(0.5, 1, 41).astype(np.float32)
    whole, grams = _run(kernel, x, points, weights), [expansion.gram(kernel, jnp.asarray(points))]
    monkeypatch.setattr(tiles, "CPU", 600)
    monkeypatch.setattr(type(expansion.backend_of(kernel, jnp.asarray(points)).cpu), "block", 16)
    for tiled in (_run(kernel, x, points, weights), _run(kernel, x, points, weights, 13)):
        for a, b in zip(tiled, whole, strict=True):
            assert np.linalg.norm(a - b) <= 2e-6 * np.linalg.norm(b)
    grams.append(expansion.gram(kernel, jnp.asarray(points)))
    direct = kernel(jnp.asarray(points), jnp.asarray(points))
    for gram in grams:
        np.testing.assert_array_equal(gram, gram.T)
        np.testing.assert_allclose(gram, direct, rtol=2e-5)


@pytest.mark.parametrize(
    ("architecture", "shape", "n"),
    [
        (MLP(2, activation="gelu"), (20,), 150),
        (MLP(2, layer_norm=True), (20,), 150),
        (MLP(3), (2,), 530),
        (DCGAN(1, layer_norm=True), (4, 4, 1), 130),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                *((MLP(2, activation=name), (20,), 150) for name in ("relu", "leaky_relu", "erf", "sin", "rbf")),
                (MLP(2, activation="gelu", layer_norm=True), (3,), 530),
                (DCGAN(1, activation="gelu"), (4, 4, 3), 130),
            )
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["ntk", pytest.param("nngp", marks=pytest.mark.slow)])
def test_pairs_of_test_points_count_for_both(architecture, shape, n, kind):
    """The sums at the points themselves are those at copies of them: the same terms, added in another order."""
    kernel, points = ArchitectureKernel(architecture, kind=kind), _samples(shape, n + 20)
    points[3] = points[n] = points[1]  # equal samples, and near ones, in one block and in two
    points[2], points[n - 1] = points[1] + 1e-4 * points[0], points[5] + 1e-4 * points[0]
    weights = np.random.default_rng(2).uniform(0.5, 1, len(points)).astype(np.float32)
    weights[[1, 7, n - 2]] = 0
    expected = _run(kernel, points[:n], points, weights, n)
    at_points = jax.jit(lambda p, w: expansion.scores_and_gradient_at_points(kernel, p, w, n))
    for found, same in zip(at_points(jnp.asarray(points), jnp.asarray(weights)), expected, strict=True):
        assert np.linalg.norm(found - same) <= 2e-6 * np.linalg.norm(same)


def test_engine_is_ours_and_neural_tangents_is_not_asked(monkeypatch):
    def refuse():
        raise AssertionError("neural-tangents was asked")

    monkeypatch.setattr("lightning_gantk.kernels.neural_tangents.load", refuse)
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    for architecture in (MLP(2), DCGAN(1)):
        discriminator = NTKDiscriminator(architecture, IPM())
        discriminator.fit(torch.randn(4, 1, 8, 8), x.detach())
        discriminator(x).sum().backward()
        assert "own recursion" in repr(discriminator)


@pytest.mark.skipif(not native.available(), reason="no C++ compiler")
@pytest.mark.parametrize("case", SHAPES)
def test_native_engine_runs_by_default_in_float32_on_the_cpu(case):
    architecture, shape = SHAPES[case]
    kernel = ArchitectureKernel(architecture)
    assert "native" in expansion.backend_of(kernel, jnp.zeros((1, *shape))).name
    assert "JAX" in kernel.backend(shape, "float64").name


def test_kernel_of_ones_own_is_differentiated_by_jax():
    own = FunctionKernel(lambda x, y: jnp.exp(-0.25 * jnp.sum((x[:, None] - y[None]) ** 2, -1)))
    x, points, weights = _samples((2,)), _samples((2,), 6, seed=1), np.linspace(-1, 1, 6, dtype=np.float32)
    for a, b in zip(_run(own, x, points, weights), _run(RBF(gamma=0.5), x, points, weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_ragged_batches_compile_nothing_new():
    discriminator = NTKDiscriminator(MLP(1), IPM())
    for count in (8, 7, 5):
        x = torch.randn(count, 3, requires_grad=True)
        discriminator.fit(torch.randn(count, 3), x.detach())
        discriminator(x).sum().backward()
        discriminator(x + 1).sum().backward()
    engine = discriminator._compiled
    assert [f._cache_size() for f in (engine._fit, engine._both_at_fakes, engine._both)] == [1, 1, 1]
