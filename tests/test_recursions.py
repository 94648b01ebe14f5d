"""Our recursions, in JAX and native, against neural-tangents in float64: every layer, every activation."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import DCGAN, MLP, Architecture, ResNet
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, LayerNorm, Pointwise, Sum
from lightning_gantk.architectures.mlp import parse_activations
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import native, products
from lightning_gantk.kernels.architecture import ArchitectureKernel

pytestmark = pytest.mark.slow  # every case compiles neural-tangents' kernel too; test_oracle.py has the main ones

ACTIVATIONS = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "abs": "abs",
    "identity": "identity",
    "gelu": "gelu",
    "erf": {"name": "erf", "a": 1.5, "b": 0.6, "c": 0.4},
    "sigmoid_like": "sigmoid_like",
    "sin": {"name": "sin", "a": 1.2, "b": 0.7, "c": 0.3},
    "rbf": {"name": "rbf", "gamma": 0.5},
    "branches": ["relu", "erf"],
}
ARCHITECTURES = {
    "mlp": lambda a: (MLP(3, a, b_std=0.5), (20,)),
    "mlp-plane": lambda a: (MLP(2, a, b_std=0.3, W_std=1.3, layer_norm=True), (2,)),
    "resnet": lambda a: (ResNet(1, 2, a, layer_norm=True), (2, 3, 3)),
    "dcgan": lambda a: (DCGAN(2, a, b_std=0.3, layer_norm=True), (5, 7, 2)),
}
CASES = [(a, name) for a in ACTIVATIONS for name in ("mlp", "dcgan")]
CASES += [(a, name) for a in ("relu", "branches") for name in ("mlp-plane", "resnet")]
# some hundred operations with rounding 6e-8; in float64 a near pair counts as such below 1e-8
TOLERANCE = {"native": 4e-6, "jax": 1e-8}


class Custom(Architecture):
    """A user's own: an activation with a Dense top for each pixel, and an extra Dense after Flatten."""

    def layers(self):
        (relu,), (gelu,) = parse_activations("relu"), parse_activations("gelu")
        branches = Sum((Conv(3, 2, 1.0, 0.2), Conv(1, 2, 0.5, None)))
        return (
            Conv(3, 1, 1.2, 0.1),
            Pointwise(relu),
            branches,
            LayerNorm(),
            Pointwise(gelu),
            Dense(1.1, 0.3),
            Pointwise(relu),
            Flatten(),
            Dense(1.0, 0.2),
            Pointwise(relu),
            Dense(1.0, None, 1),
        )


def _problem(shape, dtype):
    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal((n, *shape)).astype(np.float32) for n in (5, 6))
    return [np.asarray(a, dtype) for a in (x, y + 0.3, generator.standard_normal(6).astype(np.float32))]


def _double(dtype="float64"):
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def _oracle(architecture, kind, shape):
    with _double():
        x, y, w = map(jnp.asarray, _problem(shape, "float64"))
        kernel = ArchitectureKernel(architecture, kind, engine="neural-tangents")
        values, pullback = jax.vjp(lambda x: kernel(x, y) @ w, x)
        return [np.asarray(a) for a in (kernel(x, y), values, pullback(jnp.ones_like(values))[0])]


def _close(found, wanted, relative):
    for a, b in zip(found, wanted, strict=True):
        assert np.linalg.norm(np.asarray(a, np.float64) - b) <= relative * np.linalg.norm(b)


def _check(architecture, kind, shape):
    """Gram matrix, scores and gradient of both engines against the oracle's."""
    wanted = _oracle(architecture, kind, shape)
    for engine in ("native", "jax") if native.available() else ("jax",):
        dtype = "float32" if engine == "native" else "float64"
        with _double(dtype):
            kernel = ArchitectureKernel(architecture, kind, engine=engine)
            x, y, w = map(jnp.asarray, _problem(shape, dtype))
            run = jax.jit(lambda x, y, w, k=kernel: (k(x, y), *products.scores_and_gradient(k, x, y, w, 3)))
            _close(run(x, y, w), wanted, TOLERANCE[engine])


@pytest.mark.parametrize(("activation", "name"), CASES)
def test_recursion_agrees_with_neural_tangents(activation, name):
    architecture, shape = ARCHITECTURES[name](ACTIVATIONS[activation])
    _check(architecture, "ntk", shape)


@pytest.mark.parametrize(("architecture", "shape"), [(MLP(2), (20,)), (DCGAN(1), (4, 4, 1)), (Custom(), (6, 5, 2))])
def test_other_kinds_and_custom_layers_agree_with_neural_tangents(architecture, shape):
    _check(architecture, "ntk" if isinstance(architecture, Custom) else "nngp", shape)


@pytest.mark.parametrize(("architecture", "shape"), [(MLP(2), (20,)), (DCGAN(1), (4, 4, 1))])
def test_gram_matrix_has_derivatives_in_both_arguments(architecture, shape):
    with _double():
        x, y, _ = map(jnp.asarray, _problem(shape, "float64"))
        cotangent = jnp.asarray(np.random.default_rng(1).standard_normal((5, 6)))
        found, wanted = (
            jax.vjp(ArchitectureKernel(architecture, engine=engine), x, y)[1](cotangent)
            for engine in ("auto", "neural-tangents")
        )
        _close(found, wanted, 1e-10)


def test_unknown_layer_falls_back_visibly():
    pooled = DCGAN(1, top="global_average")
    assert "engine='neural-tangents'" in repr(ArchitectureKernel(pooled))
    assert "engine='own recursion'" in repr(ArchitectureKernel(DCGAN(1)))
    with pytest.raises(ConfigError, match="No kernel recursion"):
        ArchitectureKernel(pooled, engine="jax")
    with pytest.raises(ConfigError, match="'engine' must be one of"):
        ArchitectureKernel(pooled, engine="fast")
