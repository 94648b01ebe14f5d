"""Fused kernels for GPUs, interpreted on the CPU: as right as any backend where float32 is hard."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import pallas, tiles
from lightning_gantk.kernels.backends.pallas import arithmetic, centred
from lightning_gantk.kernels.recursions import recursion_of
from lightning_gantk.testing import KernelContract

SHAPES = {"mlp-vectors": (MLP(2), (40,)), "mlp-plane": (MLP(2), (2,)), "dcgan": (DCGAN(1), (3, 5, 2))}
ON_A_GPU = {
    **SHAPES,
    "mlp-erf": (MLP(3, activation="erf"), (700,)),
    "resnet": (ResNet(2), (16, 16, 3)),
    "dcgan-28": (DCGAN(3), (28, 28, 1)),
    "dcgan-gelu": (DCGAN(2, activation="gelu", layer_norm=True), (16, 16, 3)),
}
SCORES, GRADIENT = 1e-5, 1e-3  # asked of float32 in every backend, relative to the float64 result


def _samples(shape, n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def _run(kernel, x, points, weights, first=None):
    run = jax.jit(lambda x, p, w: expansion.scores_and_gradient(kernel, x, p, w, first))
    return [np.asarray(a) for a in run(*map(jnp.asarray, (x, points, weights)))]


def _hard(shape):
    """Test points at coincident and near training points, each of them among others that are far."""
    x, others = _samples(shape, 19), _samples(shape, 12, 2)
    at = np.array([0.0, 1e-6, 1e-4, 1e-2], np.float32)[np.arange(19) % 4].reshape(-1, *[1] * len(shape))
    return x, np.concatenate([x + at * _samples(shape, 19, 1), others, x[:3]])


def _check(case):
    architecture, shape = ON_A_GPU[case]
    x, points = _hard(shape)
    weights = np.random.default_rng(7).uniform(0.5, 1, len(points)).astype(np.float32)
    found = _run(ArchitectureKernel(architecture, backend="pallas"), x, points, weights)
    _compare(found, architecture, x, points, weights)


def _compare(found, architecture, x, points, weights):
    """Scores and gradients beside those of plain JAX in float64."""
    with jax.enable_x64(True):
        wide = (np.asarray(a, np.float64) for a in (x, points, weights))
        wanted = _run(ArchitectureKernel(architecture, backend="jax"), *wide)
    for one, other, error in zip(found, wanted, (SCORES, GRADIENT), strict=True):
        # each row by itself, since a near pair is lost in the norm of a batch
        rows = (a.reshape(len(x), -1) for a in (one - other, other))
        off, size = (np.linalg.norm(a, axis=1) for a in rows)
        assert (off <= error * size.max()).all()


def _two_places(shape, far=30):
    """Fakes around zero and reals elsewhere; one fake is among the reals, one far from all, and two are the same."""
    fakes, reals = _samples(shape, 19), far + _samples(shape, 12, 2)
    fakes[3], fakes[4], fakes[5] = reals[3] + 1e-4 * fakes[3], 3 * far * fakes[4], fakes[6]
    return np.concatenate([fakes, reals]), len(fakes)


@pytest.mark.parametrize("case", SHAPES)
def test_near_and_coincident_samples_keep_their_gradient(case):
    _check(case)


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, 64])
@pytest.mark.parametrize("case", SHAPES)
def test_fakes_and_reals_in_two_places_keep_their_gradient_in_tiles_of_any_size(case, tile, monkeypatch):
    architecture, shape = SHAPES[case]
    points, n = _two_places(shape)
    weights = np.repeat([1 / n, -1 / (len(points) - n)], [n, len(points) - n]).astype(np.float32)
    if tile:
        monkeypatch.setattr(tiles, "GPU", 4 * tile)
    kernel = ArchitectureKernel(architecture, backend="pallas")
    at_points = jax.jit(lambda p, w: expansion.scores_and_gradient_at_points(kernel, p, w, n))
    found = [np.asarray(a) for a in at_points(jnp.asarray(points), jnp.asarray(weights))]
    _compare(found, architecture, points[:n], points, weights)
    _compare(_run(kernel, points[:n], points, weights, n), architecture, points[:n], points, weights)


def test_centre_is_among_most_points_and_not_drawn_to_one_that_is_far():
    points = 5 + _samples((24,), 100)
    points[[7, 8, 60]] = [[1e6], [-1e6], [0]]
    places = np.asarray(centred.centres(jnp.asarray(points), 40, interpret=True))
    near = np.delete(points, [7, 8], 0)
    for place, group in zip(places, (near[:38], near[38:]), strict=True):
        # no farther from their mean than they are from it on the average
        assert np.linalg.norm(place - group.mean(0)) < np.linalg.norm(group - group.mean(0), axis=1).mean() / 2


@pytest.mark.gpu
@pytest.mark.parametrize("case", ON_A_GPU)
def test_a_gpu_keeps_the_gradient_of_near_and_coincident_samples(case):
    _check(case)


def test_sums_of_products_are_one_operation_each(monkeypatch):
    seen = []
    plain = arithmetic._Plain.fma
    monkeypatch.setattr(arithmetic._Plain, "fma", lambda *factors: (seen.append(factors), plain(*factors))[1])

    def function(x, y):
        square = x * x
        return {"sum": x * y + 1.0, "less": y - square, "difference": square - y, "both": jnp.sin(x / y) * 2 - x * x}

    x, y = jnp.linspace(-2.0, 3, 8), jnp.linspace(1.0, 4, 8)
    found = arithmetic.contracted(function, interpret=True)(x, y)
    wanted = function(x, y)
    assert len(seen) == 4
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-6)  # a few roundings of 6e-8


@pytest.mark.parametrize("activation", ["relu", "gelu", "erf", "sin"])
def test_triton_knows_every_operation(activation):
    cases = [(MLP(1, activation=activation, layer_norm=True), (40,)), (DCGAN(1, activation=activation), (3, 5, 2))]
    gpu = AbstractDevice(device_kind="NVIDIA H200", num_cores=None, platform="gpu")
    with use_abstract_mesh(AbstractMesh((1,), ("gpu",), abstract_device=gpu)):
        for architecture, shape in cases:
            recursion = recursion_of(tuple(architecture.layers()), "ntk")
            assert pallas.backend_of(recursion, shape, interpret=False) is not None


def test_what_is_no_chain_runs_in_jax_and_the_log_says_so(caplog):
    several = DCGAN(1, activation=["relu", "erf"])
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigError, match="backend='pallas' cannot take DCGAN"):
        ArchitectureKernel(several, backend="pallas").backend((4, 4, 1), "float32")
    assert "no chain" in caplog.text and "plain JAX" in caplog.text


@pytest.mark.slow
class TestVectors(KernelContract):
    shapes = ((40,),)

    def make(self):
        return ArchitectureKernel(MLP(2, activation="gelu", layer_norm=True), backend="pallas")


@pytest.mark.slow
class TestImages(KernelContract):
    shapes = ((2, 5, 3),)

    def make(self):
        return ArchitectureKernel(DCGAN(1), backend="pallas")
