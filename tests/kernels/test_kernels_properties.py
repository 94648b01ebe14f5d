"""No NaN, and no asymmetry, whatever the samples are: found by hypothesis."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native

BACKENDS = ["jax", *(["native"] if native.available() else [])]
_JAX_LAST = [
    pytest.param("jax", marks=pytest.mark.slow) if one == "jax" and len(BACKENDS) > 1 else one for one in BACKENDS
]
CASES = {
    "relu": (MLP(2, b_std=None), (3,)),
    "relu-wide": (MLP(2, b_std=None), (20,)),
    "branches": (ResNet(1, 1, ["leaky_relu", "erf"], layer_norm=True), (20,)),
    "gelu": (MLP(2, "gelu"), (3,)),
    "sin": (MLP(2, {"name": "sin", "c": 0.5}), (3,)),
    "dcgan": (DCGAN(1, layer_norm=True), (4, 4, 1)),
}
_QUICK = ("relu", "branches", "dcgan")  # the others take other paths in nothing
# exact numbers that meet often, at scales whose squares are normal float32 numbers
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0, 1e-12, -1e-6, 1e6, 1e12]) | st.floats(-10, 10, width=32)


@pytest.mark.parametrize("backend", _JAX_LAST)
@pytest.mark.parametrize(
    "case", [case if case in _QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_products_are_finite_and_symmetric(case, backend):
    architecture, shape = CASES[case]
    kernel = ArchitectureKernel(architecture, backend=backend)
    import jax

    both = jax.jit(lambda x, p, w: expansion.scores_and_gradient(kernel, x, p, w))
    gram = jax.jit(lambda p: expansion.gram(kernel, p))

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(arrays(np.float32, (4, *shape), elements=NUMBERS), st.booleans())
    def check(points, repeat):
        x = points[:2] if repeat else points[:2] * np.float32(1 + 1e-6)
        scores, gradient = both(jnp.asarray(x), jnp.asarray(points), jnp.ones(4))
        matrix = np.asarray(gram(jnp.asarray(points)))
        assert np.isfinite(np.asarray(scores)).all()
        assert np.isfinite(np.asarray(gradient)).all()
        assert np.isfinite(matrix).all()
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (np.diag(matrix) >= 0).all()

    check()
