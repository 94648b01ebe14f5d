"""What runs on a GPU alone, run on the CPU: near pairs in a known number of steps, Gram matrices of large blocks."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.architectures import MLP
from lightning_gantk.kernels import RBF, Laplace, architecture, expansion
from lightning_gantk.kernels.backends import tiles
from lightning_gantk.kernels.dynamics import gradient_flow, runge_kutta
from lightning_gantk.kernels.dynamics.step_errors import SummedErrors
from lightning_gantk.kernels.dynamics.unrolled import UnrolledTsit5

DIMENSIONS = 20  # more than differences are taken of one by one, and no multiple of that


def _collapsed(count=30):
    """A batch that a collapsed generator makes: all samples in one place, but for their last digits and two."""
    random = np.random.default_rng(0)
    points = 1 + 1e-5 * random.standard_normal((count, DIMENSIONS))
    points[:2] += random.standard_normal((2, DIMENSIONS))
    return jnp.asarray(points, jnp.float32), jnp.asarray(random.standard_normal(count), jnp.float32)


def _laplace():
    return Laplace(), Laplace()._in_jax(DIMENSIONS, tiles.GPU)


def _network():
    kernel = architecture.ArchitectureKernel(MLP(hidden_layers=2), backend="jax")
    return kernel, architecture._in_jax(kernel._recursion, (DIMENSIONS,), tiles.GPU)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_laplace, _network])
def test_batch_that_has_run_into_one_place_is_worked_out_in_a_known_number_of_steps(make):
    points, weights = _collapsed()
    kernel, backend = make()

    def both(points):
        return backend.gram(points, points), *backend.scores_and_gradient(points, points, weights)

    assert " while" not in str(jax.make_jaxpr(both)(points))
    matrix, scores, gradient = both(points)
    with jax.enable_x64(True):
        wide, heavy = points.astype("float64"), weights.astype("float64")
        exact_matrix = kernel(wide, wide)
        exact = expansion.scores_and_gradient(kernel, wide, wide, heavy)
    # Exact differences leave rounding alone: that of some hundred operations, in sums of 30 terms.
    rounding = 64 * np.finfo(np.float32).eps * np.abs(exact_matrix).max()
    np.testing.assert_allclose(matrix, exact_matrix, atol=rounding)
    np.testing.assert_allclose(scores, exact[0], atol=rounding * np.abs(weights).sum())
    assert np.linalg.norm(gradient - exact[1]) <= rounding * np.linalg.norm(exact[1]) * len(points)


@pytest.mark.parametrize("count", [*(pytest.param(count, marks=pytest.mark.slow) for count in (5, 8)), 23])
def test_gram_matrix_of_large_blocks_is_that_of_small_ones(count, monkeypatch):
    """Blocks of 4 where 5 and 23 points are no multiple of their rows."""
    monkeypatch.setattr(expansion, "_LARGE_BLOCK", 4)
    points = jnp.asarray(np.random.default_rng(0).standard_normal((count, 3)), jnp.float32)
    backend = expansion.backend_of(RBF(gamma=2.0), points)
    monkeypatch.setattr(backend, "block", 4)
    matrix = expansion._gram_in_large_blocks(backend, points)
    assert matrix.shape == (count, count)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix, RBF(gamma=2.0)(points, points), rtol=1e-6, atol=1e-7)


def test_gram_budget_is_a_share_of_a_gpus_memory():
    h200 = _Device({"bytes_limit": int(0.75 * 139 * 2**30)})  # three quarters are what JAX takes at the most
    silent = _Device(None)
    assert gradient_flow.keeps_gram(131_072**2, 4, h200) and not gradient_flow.keeps_gram(140_000**2, 4, h200)
    for device in (jax.devices("cpu")[0], silent, None):
        assert gradient_flow.keeps_gram(23_170**2, 4, device) and not gradient_flow.keeps_gram(23_171**2, 4, device)


class _Device:
    """A GPU, as far as it says what memory JAX may take."""

    platform = "gpu"

    def __init__(self, memory):
        self._memory = memory

    def memory_stats(self):
        return self._memory


def test_smooth_flow_asks_the_host_once_a_step():
    """The loop over steps ends when it is known to; the stages of a step are no loop that could."""

    def solved(start):
        return runge_kutta.solve(lambda y: jnp.sin(3 * y) + 0.1, start, 2.0, rtol=1e-6, atol=1e-8, max_steps=500).state

    assert str(jax.make_jaxpr(solved)(jnp.linspace(-1.0, 1, 5))).count(" while[") == 1


def test_unrolled_method_is_that_of_diffrax():
    def solution(solver):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: jnp.sin(3 * y) + 0.1 * t),
            solver,
            t0=0.0,
            t1=2.0,
            dt0=None,
            y0=jnp.linspace(-1.0, 1, 5),
            stepsize_controller=SummedErrors(rtol=1e-6, atol=1e-8),
        )

    with jax.enable_x64(True):
        ours, theirs = solution(UnrolledTsit5()), solution(diffrax.Tsit5())
        assert ours.stats["num_accepted_steps"] == theirs.stats["num_accepted_steps"]
        # the same sums in another order, over some 20 steps of 7 stages
        np.testing.assert_allclose(ours.ys, theirs.ys, atol=20 * 7 * 2.0**-52)
