"""What the benchmarks compare with works out the same numbers, by other ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from benchmarks import baselines
from lightning_gantk import IPM, LSGAN, MLP, NTKDiscriminator, Vanilla

_MLP, _TIME = MLP(2), 3.0
# neural-tangents takes angles from cosines: of those of a sample with itself rounding leaves its root, in each layer.
_ERROR = 2 * (2 * np.finfo(np.float64).eps) ** 0.5


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(2, 12, 5, dtype=torch.float64, generator=stream).unbind()


def _ours(loss, batch) -> tuple[np.ndarray, np.ndarray]:
    """Scores and gradient at the fakes."""
    real, fake = batch
    discriminator = NTKDiscriminator(_MLP, loss, time=_TIME, dtype="float64")
    discriminator.fit(real, fake)
    scores = discriminator(fake.requires_grad_())
    return scores.detach().numpy(), torch.autograd.grad(scores.sum(), fake)[0].numpy()


def _points(batch) -> jax.Array:
    """Fakes first."""
    real, fake = batch
    return jnp.asarray(torch.cat([fake, real]).detach().numpy())


def _assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=_ERROR * np.abs(other).max())


def test_ipm_by_whole_matrices(batch):
    points = _points(batch)
    weights = -_TIME / 12 * baselines.targets(24)
    _assert_same(baselines.ipm(_MLP)(points[:12], points, weights), _ours(IPM(), batch))


def test_lsgan_by_neural_tangents(batch):
    points = _points(batch)
    _assert_same(baselines.lsgan_step(_MLP, _TIME)(points[:12], points), _ours(LSGAN(), batch))


def test_lsgan_by_eigenvectors(batch):
    points = _points(batch)
    matrix = _MLP.kernel()(points, points)
    values, _ = _ours(LSGAN(), batch)
    _assert_same([matrix[:12] @ baselines.eigh_weights(matrix, _TIME)], [values])


def test_vanilla_by_neural_tangents(batch):
    values, _ = _ours(Vanilla(), batch)
    _assert_same([baselines.ode_fit(Vanilla(), _MLP, _TIME)(_points(batch))[:12]], [values])
