"""Our recursions, in JAX and native, against neural-tangents in float64: every layer, every activation."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import stored
from oracle.problems import FAMILIES

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native

# some hundred operations with rounding 6e-8; in float64 a near pair counts as such below 1e-8
TOLERANCE = {"native": 4e-6, "jax": 1e-8}


def _double(dtype="float64"):
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def _assert_close(found, wanted, relative):
    assert np.linalg.norm(np.asarray(found, np.float64) - wanted) <= relative * np.linalg.norm(wanted)


# Every activation is one expression for both backends and all shapes: quick are those that differ in kind.
_IN_JAX = ("mlp-relu", "dcgan-relu", "mlp-rbf", "mlp-plane-branches")
_NATIVE = (*_IN_JAX, "mlp-gelu", "dcgan-branches", "custom")
_SIDES = [
    pytest.param(
        name,
        backend,
        id=f"{name}-{backend}",
        marks=[] if name in (_IN_JAX if backend == "jax" else _NATIVE) else [pytest.mark.slow],
    )
    for name in FAMILIES["recursions"]
    for backend in TOLERANCE
]


@pytest.mark.parametrize(("name", "backend"), _SIDES)
def test_recursion_agrees_with_neural_tangents(name, backend):
    """Gram matrix, scores and gradient."""
    if backend == "native" and not native.available():
        pytest.skip("no C++ compiler")
    problem, wanted = FAMILIES["recursions"][name], stored("recursions", name)
    dtype = "float32" if backend == "native" else "float64"
    with _double(dtype):
        kernel = ArchitectureKernel(problem.architecture, problem.kind, backend=backend)
        x, y, w = map(jnp.asarray, problem.inputs(dtype))
        gram, (scores, gradient) = jax.jit(
            lambda x, y, w: (kernel(x, y), expansion.scores_and_gradient(kernel, x, y, w, 3))
        )(x, y, w)
    for asked, found in (("gram", gram), ("scores", scores), ("gradient", gradient)):
        _assert_close(found, wanted[asked], TOLERANCE[backend])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES["both_arguments"])
def test_gram_matrix_has_derivatives_in_both_arguments(name):
    problem, wanted = FAMILIES["both_arguments"][name], stored("both_arguments", name)
    with _double():
        x, y, _ = map(jnp.asarray, problem.inputs("float64"))
        pullback = jax.vjp(ArchitectureKernel(problem.architecture), x, y)[1]
        for asked, found in zip("xy", pullback(jnp.asarray(problem.cotangent())), strict=True):
            _assert_close(found, wanted[asked], 1e-10)


def test_layer_norm_of_variances_as_small_as_its_epsilon():
    """Variances after it differ then. By hand, from covariances of samples of one coordinate: far from each other, they
    lose no digits.
    """
    kernel = ArchitectureKernel(
        MLP(2, {"name": "sin", "b": 3.0}, W_std=1.4, b_std=None, layer_norm=True), backend="jax"
    )

    def by_hand(x, y):
        """Of two numbers."""
        k = theta = 1.96 * jnp.outer(jnp.stack([x, y]), jnp.stack([x, y]))
        for last in (False, True):
            q = jnp.diag(k)
            fade = jnp.exp(-9 * (q[:, None] + q) / 2)
            k, theta = 1.96 * fade * jnp.sinh(9 * k), 1.96 * theta * 9 * fade * jnp.cosh(9 * k)
            theta = theta + k
            if not last:
                root = jnp.sqrt(jnp.diag(k) + 1e-12)
                k, theta = (values / jnp.outer(root, root) for values in (k, theta))
        return theta[0, 1]

    with _double():
        x = jnp.array([2e-9, -3e-8, 1.2e-7, 4e-6])
        pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
        found = np.asarray(kernel(x[:, None], x[:, None]))
        slopes = jax.jacrev(lambda x: kernel(x[:, None], jnp.array([[2e-9], [-3e-8], [1.2e-7], [4e-6]])))(x)
        for i, j in pairs:
            np.testing.assert_allclose(found[i, j], by_hand(x[i], x[j]), rtol=1e-12)
            # By distances, which leave 1 - cos as many digits as it is large: 1e-3 and more here.
            np.testing.assert_allclose(slopes[i, j, i], jax.grad(by_hand)(x[i], x[j]), rtol=1e-9)


def test_unknown_layer_falls_back_visibly():
    pooled = DCGAN(1, top="global_average")
    assert "backend='neural-tangents'" in repr(ArchitectureKernel(pooled))
    assert "backend='own recursion'" in repr(ArchitectureKernel(DCGAN(1)))
    with pytest.raises(ConfigError, match="No kernel recursion"):
        ArchitectureKernel(pooled, backend="jax")
    with pytest.raises(ConfigError, match="'backend' must be one of"):
        ArchitectureKernel(pooled, backend="fast")


def _gradient(architecture, x, p, w):
    with _double():
        kernel, arrays = ArchitectureKernel(architecture), map(jnp.asarray, (x, p, w))
        return np.asarray(jax.jit(lambda *given: expansion.scores_and_gradient(kernel, *given)[1])(*arrays))


def test_gradient_among_samples_on_one_ray_is_along_it():
    """Without biases k(x, p) = c |x| |p| for samples on one side of 0, and 0 on opposite ones: there the two parts of a
    gradient, by distance and by length, are 1e8 times what is left of their sum.
    """
    stream = np.random.default_rng(0)
    ray = stream.integers(1, 100, 17) / 64  # coarse, so that all lie on the ray to the last bit
    multiples, w = stream.integers(-40, 40, 9) / 8, stream.standard_normal(9)
    points = multiples[:, None] * ray
    found = _gradient(MLP(1, b_std=None), points, points, w)
    same = (np.sign(multiples)[:, None] == np.sign(multiples)) @ (w * np.abs(multiples))
    wanted = (np.sign(multiples) * same)[:, None] * ray / 17  # c = 1 / d for W_std = 1, by both terms of the NTK
    # Angles come from distances, squared, with a rounding of 1e-16 of the samples' lengths: some roots of that.
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", {"name": "leaky_relu"}])
def test_gradient_in_the_plane_without_biases_in_float32(activation):
    """The kernel has a kink where directions are equal, whatever the distance is. In a quarter of the plane no two are
    opposite, of which float32 leaves less.
    """
    stream = np.random.default_rng(0)
    angles, lengths = stream.uniform(0, np.pi / 2, 600), stream.uniform(1, 6, 600)
    points = (lengths * np.stack([np.cos(angles), np.sin(angles)])).T.astype(np.float32)
    w = np.repeat([-1 / 300, 1 / 300], 300)
    kernel, found = MLP(3, activation, b_std=None).kernel(), {}
    for dtype in ("float32", "float64"):
        with _double(dtype):
            arrays = (jnp.asarray(array, dtype) for array in (points[:300], points, w))
            found[dtype] = np.asarray(expansion.scores_and_gradient(kernel, *arrays)[1], np.float64)
    _assert_close(found["float32"], found["float64"], TOLERANCE["native"])


@pytest.mark.parametrize("dimensions", [5, 20])
@pytest.mark.parametrize("backend", ["native", "jax", "pallas"])
@pytest.mark.parametrize("pairs", ["near", "of one direction"])
def test_without_biases_pairs_of_nearly_one_direction_keep_all_digits(pairs, backend, dimensions):
    """Whether they are 1e-6 apart or one is twice as long: float32 knows their difference, and so their angle."""
    if backend == "native" and not native.available():
        pytest.skip("no C++ compiler")
    stream = np.random.default_rng(0)
    x, other = stream.standard_normal((2, 32, dimensions)).astype(np.float32)
    near = x + np.float32(1e-6) * other
    points = np.concatenate([x, near if pairs == "near" else stream.uniform(0.3, 3, (32, 1)).astype(np.float32) * x])
    w = stream.choice([-1.0, 1.0], 64)
    found = {}
    for dtype, kernel in (
        ("float32", ArchitectureKernel(MLP(3, b_std=None), backend=backend)),
        ("float64", MLP(3, b_std=None).kernel()),
    ):
        with _double(dtype):
            arrays = (jnp.asarray(array, dtype) for array in (x, points, w))
            found[dtype] = np.asarray(expansion.scores_and_gradient(kernel, *arrays)[1], np.float64)
    _assert_close(found["float32"], found["float64"], TOLERANCE["native"])


@pytest.mark.parametrize("backend", ["native", "jax"])
def test_without_biases_a_sample_feels_nothing_from_itself(backend):
    """Whatever other samples are asked for with it."""
    stream = np.random.default_rng(0)
    points, w = (jnp.asarray(stream.standard_normal(shape), jnp.float32) for shape in ((64, 100), (64,)))
    kernel = ArchitectureKernel(MLP(2, b_std=None), backend=backend)
    whole = expansion.scores_and_gradient(kernel, points, points, w)[1]
    for count in (1, 3, 32):
        found = expansion.scores_and_gradient(kernel, points[:count], points, w)[1]
        _assert_close(found, np.asarray(whole[:count], np.float64), TOLERANCE["native"])


@pytest.mark.parametrize("backend", ["native", "jax"])
def test_without_biases_sizes_may_be_anything(backend):
    """Squares of these leave the range of float32; 0 has the kernel 0."""
    points = np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32)
    kernel = ArchitectureKernel(MLP(2, b_std=None), backend=backend)
    plain = np.asarray(kernel(jnp.asarray(points), jnp.asarray(points)))
    sizes = np.array([1e-25, 1e-20, 1e20, 1e25, 1.0, 0.0], np.float32)
    found = np.asarray(kernel(jnp.asarray(sizes[:, None] * points), jnp.asarray(points)))
    np.testing.assert_allclose(found[:5], sizes[:5, None] * plain[:5], rtol=4e-6)
    assert (found[5] == 0).all()


def test_gradient_of_erf_between_equal_samples_that_are_large():
    """It is half of that of k(x, x), here by differences; in units of x it is 1e-15 of what cancels in it."""
    x = 1e7 * np.random.default_rng(0).standard_normal((1, 3))
    architecture = MLP(2, activation={"name": "erf", "b": 3.0})
    found = _gradient(architecture, x, x, np.ones(1))
    with _double():
        kernel, step = ArchitectureKernel(architecture), 1e-4
        above, below = (float(kernel(jnp.asarray(y), jnp.asarray(y))[0, 0]) for y in (x * (1 + step), x * (1 - step)))
    along = (above - below) / (4 * step * np.linalg.norm(x))
    np.testing.assert_allclose(found, along * x / np.linalg.norm(x), rtol=1e-6)
