"""Closed-form kernels: values, gradients at far, near and coincident points, positive definiteness, transforms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF, EnergyDistance, InverseMultiquadric, Laplace, TransformedKernel, expansion
from lightning_gantk.kernels.distance import DistanceKernel, length
from lightning_gantk.losses import IPM, LSGAN


def _apart(x, y):
    """Exact (N, M, d) differences and (N, M) distances in float64."""
    difference = x.astype(np.float64)[:, None] - y.astype(np.float64)[None]
    return difference, np.linalg.norm(difference, axis=2)


def _laplace(x, y):
    difference, r = _apart(x, y)
    scale = 0.7 / np.sqrt(x.shape[1])
    k = np.exp(-scale * r)
    return k, -scale * _unit(difference, r) * k[..., None]


def _energy(x, y):
    difference, r = _apart(x, y)
    norms = [np.linalg.norm(side.astype(np.float64), axis=1) for side in (x, y)]
    of_x = _unit(x.astype(np.float64), norms[0])
    return norms[0][:, None] + norms[1][None] - r, of_x[:, None] - _unit(difference, r)


def _multiquadric(x, y):
    difference, r = _apart(x, y)
    base = 1 + 0.7 * r**2 / x.shape[1]
    return base**-1.5, (-1.5 * base**-2.5 * 2 * 0.7 / x.shape[1])[..., None] * difference


def _unit(difference, r):
    return difference / np.where(r > 0, r, 1)[..., None]


KERNELS = {
    "laplace": (Laplace(0.7), _laplace),
    "energy": (EnergyDistance(), _energy),
    "multiquadric": (InverseMultiquadric(0.7, 1.5), _multiquadric),
}
kernels = pytest.mark.parametrize("name", KERNELS)
dims = pytest.mark.parametrize("dim", [2, 64])  # differences one by one, and by a matrix product


@functools.cache
def _compiled(name):
    """Scores and their gradient by the kernel's own derivatives."""
    kernel, _ = KERNELS[name]

    def run(x, points, weights):
        values, pullback = jax.vjp(lambda t: kernel(t, points) @ weights, x)
        return values, pullback(jnp.ones(len(x)))[0]

    return jax.jit(run)


def _points(dim, offset=0.0):
    """x with coincident and nearly coincident partners among the points."""
    stream = np.random.default_rng(0)
    x = (stream.standard_normal((6, dim)) + offset).astype(np.float32)
    points = (stream.standard_normal((9, dim)) + offset).astype(np.float32)
    points[:2] = x[:2]
    points[2] = x[0]  # two at once
    points[3] = x[2] + np.float32(1e-4)
    points[4] = x[3] + np.float32(1e-2)
    return x, points, stream.standard_normal(9).astype(np.float32)


@kernels
@dims
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_scores_and_gradients_agree_with_float64(name, dim, offset):
    _, exact = KERNELS[name]
    x, points, weights = _points(dim, offset)
    k, slopes = exact(x, points)
    values, gradient = _compiled(name)(x, points, weights)
    size = np.abs(k) @ np.abs(weights)
    # float32 squares and sums (about 64 eps), once more in a distance of which 4 digits are left to a near pair
    tolerance = 1e-4 if dim > 16 else 64 * 6e-8
    np.testing.assert_allclose(values, k @ weights, atol=tolerance * size.max())
    expected = np.einsum("nmd,m->nd", slopes, weights.astype(np.float64))
    sizes = np.einsum("nmd,m->nd", np.abs(slopes), np.abs(weights)).max()
    np.testing.assert_allclose(gradient, expected, atol=4 * tolerance * sizes)


@kernels
@dims
def test_gradients_at_coincident_points_are_finite_in_compiled_code(name, dim):
    kernel, _ = KERNELS[name]
    discriminator = NTKDiscriminator(kernel, IPM())
    x = torch.zeros(5, dim).index_fill_(0, torch.tensor([3]), 1.0).requires_grad_()
    discriminator.fit(torch.ones(4, dim), x.detach())
    scores = discriminator(x)
    scores.sum().backward()
    assert scores.isfinite().all() and x.grad.isfinite().all()
    assert (x.grad[:3] - x.grad[0]).abs().max() == 0  # equal samples move together
    assert (x.grad[3] == x.grad[3, 0]).all()  # and along the diagonal, by symmetry


class Distance(DistanceKernel):
    """The distance itself: positive definite or not, its gradient is known."""

    scale = 0.0

    def of_distance(self, v, q_x, q_y, dimensions):
        return length(v * dimensions)


@dims
def test_distances_have_a_gradient_in_both_arguments(dim):
    x, points, _ = _points(dim)
    upstream = np.random.default_rng(2).standard_normal((6, 9)).astype(np.float32)
    in_x, in_y = jax.jit(lambda x, p, u: jax.vjp(Distance(), x, p)[1](u))(x, points, upstream)
    units = _unit(*_apart(x, points))
    room = 64 * np.finfo(np.float32).eps * np.abs(upstream)  # some roundings of a unit vector, and of a sum of nine
    assert (np.abs(in_x - np.einsum("nm,nmd->nd", upstream, units)) <= room.sum(1)[:, None]).all()
    assert (np.abs(in_y + np.einsum("nm,nmd->md", upstream, units)) <= room.sum(0)[:, None]).all()


def test_the_energy_kernel_gives_the_energy_distance():
    real, fake = torch.randn(30, 2), torch.randn(20, 2) + 1
    discriminator = NTKDiscriminator(EnergyDistance(), IPM(), dtype="float64")
    discriminator.fit(real.double(), fake.double())
    found = discriminator.loss.discriminator(discriminator(real.double()), discriminator(fake.double()))
    means = [torch.cdist(a.double(), b.double()).mean() for a, b in ((fake, real), (fake, fake), (real, real))]
    assert found.item() == pytest.approx((2 * means[0] - means[1] - means[2]).item(), rel=1e-9)


@pytest.mark.parametrize("kernel", [RBF(), MLP(1).kernel()], ids=repr)
def test_kernels_are_of_arrays_of_samples_of_one_shape(kernel):
    for wrong in (torch.ones(2, 3), [[1.0, 2.0, 3.0]], jnp.ones(3)):
        with pytest.raises(ConfigError, match=r"on arrays of JAX, \(N, d\).*, got .*: jnp.asarray\(samples\) makes"):
            kernel(jnp.ones((2, 3)), wrong)
    with pytest.raises(ConfigError, match=r"samples of one shape, got \(3,\) and \(1,\)"):
        kernel(jnp.ones((2, 3)), jnp.ones((2, 1)))


@pytest.mark.parametrize("make", [Laplace, InverseMultiquadric, lambda g: InverseMultiquadric(1.0, g)])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_kernels_refuse_what_is_not_positive(make, value):
    with pytest.raises(ConfigError, match="must be positive"):
        make(value)


@pytest.mark.parametrize("transform", ["identity", "tanh", "atanh"])
@pytest.mark.parametrize("inner", [RBF(0.5), MLP(1).kernel()], ids=["rbf", "mlp"])
def test_a_transformed_kernel_is_the_kernel_of_transformed_samples(transform, inner):
    x, y = (0.9 * np.tanh(side) for side in _points(2)[:2])
    function = {"identity": lambda a: a, "tanh": np.tanh, "atanh": np.arctanh}[transform]
    found = TransformedKernel(inner, transform)(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found, inner(jnp.asarray(function(x)), jnp.asarray(function(y))), rtol=1e-5)


@pytest.mark.parametrize("transform", ["identity", "tanh", "atanh"])
@pytest.mark.parametrize("inner", [RBF(0.5), MLP(1).kernel(), Laplace()], ids=["rbf", "mlp", "laplace"])
def test_the_backend_of_a_transformed_kernel_agrees_with_the_kernel(transform, inner):
    kernel = TransformedKernel(inner, transform)
    x, points, weights = map(jnp.asarray, _points(2))
    x, points = 0.9 * np.tanh(x), jnp.asarray(0.9 * np.tanh(points[5:]))  # none coincide
    expected, pullback = jax.vjp(lambda t: kernel(t, points) @ weights[5:], jnp.asarray(x))
    values, gradient = expansion.scores_and_gradient(kernel, jnp.asarray(x), points, weights[5:])
    size = float(jnp.abs(kernel(jnp.asarray(x), points)).max() * jnp.abs(weights[5:]).sum())
    room = 64 * np.finfo(np.float32).eps * size  # some roundings of each kernel value
    steep = room * 8  # a slope of atanh at 0.9 is 5.3, and one of the kernels below 1.5
    np.testing.assert_allclose(values, expected, rtol=0, atol=room)
    np.testing.assert_allclose(gradient, pullback(jnp.ones(len(x)))[0], rtol=0, atol=steep)
    np.testing.assert_allclose(
        expansion.scores(kernel, jnp.asarray(x), points, weights[5:]), expected, rtol=0, atol=room
    )
    np.testing.assert_allclose(expansion.gram(kernel, points), kernel(points, points), rtol=0, atol=room)


def test_lsgan_under_a_closed_form_kernel_tells_reals_from_fakes():
    discriminator = NTKDiscriminator(Laplace(), LSGAN(), time=10.0)
    real, fake = torch.randn(20, 2) + 3, torch.randn(20, 2) - 3
    discriminator.fit(real, fake)
    assert discriminator(real).mean() > 0.5 and discriminator(fake).mean() < -0.5


def test_zero_has_no_energy_with_anything_to_the_bit():
    y = jnp.asarray(np.random.default_rng(0).standard_normal((200, 17)), jnp.float32)
    zero = jnp.zeros((1, 17))
    assert not EnergyDistance()(zero, y).any()
    scores, gradient = expansion.scores_and_gradient(EnergyDistance(), zero, y, jnp.ones(200), 0)
    assert scores.tolist() == [0.0]
    # Of |x| + |y| - |x - y| at 0, the mean over all directions of x: the unit vector of y.
    expected = (y / jnp.linalg.norm(y, axis=1, keepdims=True)).sum(0)
    np.testing.assert_allclose(gradient[0], expected, atol=200 * 6e-8)
