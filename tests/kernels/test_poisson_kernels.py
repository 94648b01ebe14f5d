"""Closed forms of Asokan et al.: exact small cases, and the equations that the kernels solve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import FourierPoisson, Polyharmonic
from lightning_gantk.losses import IPM, LSGAN, ExternalIPM


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_first_order_gives_the_energy_distance_of_three_points():
    """Fakes 0 and 1, a real 2: f = mean over fakes of -|x - .| plus |x - 2|; the cusp at itself counts 0."""
    discriminator = NTKDiscriminator(Polyharmonic(1.0), IPM(), dtype="float64")
    real, fake = _column(2.0), _column(0.0, 1.0).requires_grad_()
    discriminator.fit(real, fake.detach())
    scores = discriminator(fake)
    (slope,) = torch.autograd.grad(scores.sum(), fake)
    torch.testing.assert_close(scores.detach(), torch.tensor([1.5, 0.5], dtype=torch.float64))
    torch.testing.assert_close(slope, _column(-0.5, -1.5))
    found = discriminator.loss.discriminator(discriminator(real), scores.detach())
    assert float(found) == pytest.approx(2.5)  # MMD^2


@pytest.mark.parametrize(("order", "dimensions"), [(0.0, 2), (-1.0, 3), (1.0, 1)])
def test_poisson_equation_away_from_the_other_sample(order, dimensions):
    """r^(2 - d) and log r are harmonic: with a softening e the Laplacian is of order e^2."""
    kernel = Polyharmonic(order, softening=1e-4)
    x, y = jnp.full(dimensions, 0.3), jnp.full(dimensions, -0.8)

    def alone(x):
        return kernel.of_distance(jnp.mean((x - y) ** 2), 0.0, 0.0, dimensions)

    with jax.enable_x64(True):
        laplacian = jnp.trace(jax.hessian(alone)(x.astype("float64")))
    assert abs(float(laplacian)) < 1e-6


def test_fourier_kernel_is_its_lattice_sum():
    kernel, x, y = FourierPoisson(5.0, terms=2), np.array([[0.3, -1.2], [2.0, 0.1]]), np.array([[1.0, 0.4]])
    w = 2 * np.pi / 5
    wanted = np.zeros((2, 1))
    for j in np.ndindex(5, 5):
        j = np.array(j) - 2
        if j @ j and tuple(j) > (0, 0):
            wanted[:, 0] += np.cos(w * (x - y) @ j) / (w**2 * (j @ j))
    with jax.enable_x64(True):
        np.testing.assert_allclose(kernel(jnp.asarray(x), jnp.asarray(y)), wanted, rtol=1e-12)


def test_fourier_kernel_solves_poissons_equation_with_the_truncated_source():
    """-k'' is the sum of the cosines themselves: the periodic delta, cut off."""
    kernel, w = FourierPoisson(4.0, terms=3), np.pi / 2
    with jax.enable_x64(True):
        second = jax.grad(jax.grad(lambda x: kernel(x.reshape(1, 1), jnp.zeros((1, 1)))[0, 0]))(jnp.array(0.7))
    assert float(-second) == pytest.approx(sum(np.cos(w * j * 0.7) for j in (1, 2, 3)))


def test_losses_whose_weights_do_not_sum_to_zero_are_refused():
    with pytest.raises(ConfigError, match="only for weights of sum 0"):
        NTKDiscriminator(Polyharmonic(1.0), LSGAN())
    NTKDiscriminator(Polyharmonic(-1.0, softening=0.1), LSGAN())  # positive definite
    NTKDiscriminator(Polyharmonic(1.0), ExternalIPM())  # an attraction, whatever its weights sum to


def test_features_give_the_scores_of_the_kernel():
    kernel = FourierPoisson(8.0, terms=2)
    real, fake = torch.randn(7, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64) + 1
    discriminator = NTKDiscriminator(kernel, LSGAN(), time=1.0, dtype="float64")
    discriminator.fit(real, fake)
    trained = discriminator._trained
    weights, points = (torch.from_numpy(np.array(part)) for part in (trained.weights, trained.points))
    with jax.enable_x64(True):
        matrix = torch.from_numpy(np.array(kernel(jnp.asarray(fake.numpy()), jnp.asarray(points.numpy()))))
    torch.testing.assert_close(discriminator(fake), matrix @ weights)
