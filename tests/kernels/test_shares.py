"""The pairs of a Gram matrix, divided: every pair once, and together they are the matrix."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lightning_gantk.kernels.base import FunctionKernel
from lightning_gantk.kernels.dynamics import shares
from lightning_gantk.kernels.dynamics.shares import Share

KERNEL = FunctionKernel(lambda x, y: jnp.exp(x @ y.T / 8))


@functools.partial(jax.jit, static_argnums=0)
def _contributions(share, points, vector):
    pieces = shares.build(KERNEL, share, points)
    columns = shares.columns(share, pieces, vector, share.points - 2, 5)  # two from the end, three from the beginning
    results = [f(share, pieces, vector) for f in (shares.product, shares.sizes)]
    return (*results, shares.diagonal(share, pieces), columns), sum(piece.size for piece in pieces)


@pytest.mark.parametrize(
    ("processes", "points"), [(3, 12), pytest.param(4, 12, marks=pytest.mark.slow)]
)  # 3 to a group are an odd half
def test_shares_add_up_to_the_matrix(processes, points):
    generator = np.random.default_rng(0)
    x, vector = (jnp.asarray(generator.standard_normal((points, d)), "float32") for d in (3, 1))
    matrix, vector = np.asarray(KERNEL(x, x)), vector[:, 0]
    found, sizes = zip(*(_contributions(Share(i, processes, points), x, vector) for i in range(processes)), strict=True)
    product, size, diagonal, columns = (sum(map(np.asarray, parts)) for parts in zip(*found, strict=True))
    # sums of so many float32 products
    close = functools.partial(np.testing.assert_allclose, rtol=points * 1e-6, atol=points * 1e-6 * np.abs(matrix).max())
    close(product, matrix @ vector)
    close(size, np.abs(matrix) @ np.abs(vector))
    close(diagonal, np.diagonal(matrix))
    close(columns, np.roll(matrix, 2, 1)[:, :5])
    assert sizes == tuple(Share(i, processes, points).entries for i in range(processes))


@pytest.mark.parametrize("processes", range(1, 10))
def test_every_pair_is_in_one_share_and_shares_are_equal(processes):
    points = 4 * processes
    seen, entries = np.zeros((points, points), int), []
    for i in range(processes):
        share = Share(i, processes, points)
        entries.append(share.entries)
        for number, (rows, columns) in enumerate(share.blocks):
            row, column = ((np.arange(points)[s] + share.start) % points for s in (rows, columns))
            seen[np.ix_(row, column)] += 1
            if number:
                seen[np.ix_(column, row)] += 1
    assert (seen == 1).all()
    assert set(entries) == {points**2 * (processes + 1) // (2 * processes**2)}


def _disturbed(processes, x, kinds):
    """The whole of a disturbed matrix, from the shares of so many processes."""
    result = np.zeros((len(x), len(x)))
    for i in range(processes):
        share = Share(i, processes, len(x))
        pieces = shares.build(KERNEL, share, x)
        noisy = shares.disturbed(share, pieces, jnp.diagonal(KERNEL(x, x)), kinds, jnp.asarray(1e-2), 1e-3, 1e-2)
        result += np.asarray(shares.columns(share, noisy, x[:, 0], jnp.asarray(0), len(x)))
    return result


@pytest.mark.slow
def test_noise_is_the_same_whoever_has_a_pair_and_keeps_equal_rows_equal():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((12, 3)), "float32")
    x = x.at[10].set(x[1])
    kinds = jnp.arange(12).at[10].set(1)
    found, exact = _disturbed(3, x, kinds), np.asarray(KERNEL(x, x))
    np.testing.assert_allclose(_disturbed(4, x, kinds), found, rtol=1e-5)
    np.testing.assert_allclose(found, found.T, rtol=1e-5)
    ridge = 1e-2 * np.diag(np.diagonal(exact))
    np.testing.assert_allclose((found - ridge)[1], (found - ridge)[10], rtol=1e-5)
    root = np.sqrt(np.diagonal(exact))
    noise = (found - ridge - exact) / (1e-2 * np.outer(root, root) + 1e-3 * exact.max())
    assert 0.8 < noise[np.triu_indices(10)].std() < 1.2
