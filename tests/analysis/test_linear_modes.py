"""Modes of particles near the real points: exact eigenvalues and damping."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.analysis import linear_modes
from lightning_gantk.architectures import MLP, Architecture, Transformed
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import CoupledParticles
from lightning_gantk.kernels import (
    RBF,
    EnergyDistance,
    InverseMultiquadric,
    Kernel,
    Laplace,
    Polyharmonic,
    TransformedKernel,
)
from lightning_gantk.kernels.distance import length

_ONE = torch.zeros(1, 1)
_TWO = torch.tensor([[1.5], [-1.5]])
_S1 = RBF(0.5)  # exp(-|x - y|^2 / 2) in one dimension


@pytest.mark.parametrize(
    ("rate", "decay_rates"),
    [(1.0, (0, 0.5, 1, 0.267949, 0.127017)), (0.1, (0, 0.158114, 0.316228, 0.084733, 0.040166))],
)
def test_decay_rates_of_one_particle(rate, decay_rates):
    modes = linear_modes(_S1, _ONE, rates=(1.0, rate))
    assert modes.mu == pytest.approx([1.0], abs=1e-12)
    assert modes.critical_penalty == pytest.approx([2 * math.sqrt(rate)], abs=1e-12)
    assert modes.critical_decay == pytest.approx([2 * math.sqrt(rate)], abs=1e-12)
    for share, expected in zip((0, 0.5, 1, 2, 4), decay_rates, strict=True):
        # Where the two roots meet a rounding of 1e-16 counts as its square root.
        tolerance = 5e-7 if share != 1 else 1e-7 + 5e-7
        penalty = share * float(modes.critical_penalty[0])
        assert modes.decay_rates(penalty=penalty)[0] == pytest.approx(expected, abs=tolerance)
        assert modes.decay_rates(decay=penalty)[0] == pytest.approx(expected, abs=tolerance)  # the same for mu = 1


@pytest.mark.parametrize("as_matrix", [False, True])
def test_eigenvalues_of_two_points(as_matrix):
    def modes(g):
        return linear_modes(_S1, _TWO, CoupledParticles(2, coupling=g).coupling if as_matrix else g)

    assert modes(0.0).mu == pytest.approx([0.455564, 0.544436], abs=5e-7)
    assert modes(0.8).mu == pytest.approx([0.108887, 0.820015], abs=5e-7)


def test_modes_are_those_of_the_whole_system():
    """b' = -(decay + penalty B) b + B delta, delta' = -rate b, for Gamma the identity; rates 2 and 1/2."""
    modes, rate, decay, penalty = linear_modes(_S1, _TWO, rates=(2.0, 0.5)), 0.25, 0.3, 0.7
    eye = np.eye(2)
    system = np.block([[-(decay * eye + penalty * modes.matrix), modes.matrix], [-rate * eye, 0 * eye]])
    found = modes.exponents(decay=decay, penalty=penalty)
    np.testing.assert_allclose(np.sort_complex(found.ravel()), np.sort_complex(np.linalg.eigvals(system)), atol=1e-12)
    np.testing.assert_allclose(modes.critical_decay**2, 4 * rate * modes.mu, rtol=1e-12)
    np.testing.assert_allclose(modes.critical_penalty * modes.mu, modes.critical_decay, rtol=1e-12)
    assert modes.least_decay(0.1) == pytest.approx(0.1 * modes.mu.max())


def test_spectrum_is_of_the_whole_system_with_a_penalty_and_a_coupling_too():
    """Roots of z^2 + R mu z + mu, with mu of Gamma B, would be off by up to 5 times."""
    modes = linear_modes(_S1, _TWO, 0.8)
    b, gamma = modes.matrix, np.array([[1, 0.8], [0.8, 1]])
    # R = 3: det(z^2 + 3 B z + Gamma B) = 0. B and Gamma commute, by symmetry; B's smaller eigenvalue is of the mean.
    np.testing.assert_allclose(b @ gamma, gamma @ b, atol=1e-15)
    beta, speed = np.linalg.eigvalsh(b), (0.2, 1.8)
    wanted = np.concatenate([np.roots([1, 3 * mu, own * mu]) for mu, own in zip(beta, speed[::-1], strict=True)])
    found = modes.spectrum(penalty=3.0)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(wanted), atol=1e-12)
    assert (np.diff(found.real) <= 1e-15).all()
    np.testing.assert_allclose(found[0].real, -0.0696, atol=5e-5)
    both = (modes.spectrum(decay=0.3), modes.exponents(decay=0.3).ravel())
    np.testing.assert_allclose(
        *(np.sort_complex(one.round(9)) for one in both), atol=2e-9
    )  # rounded to be sorted alike
    for call in (lambda: modes.exponents(penalty=3.0), lambda: modes.decay_rates(penalty=1.0)):
        with pytest.raises(ConfigError, match=r"they mix. spectrum\(decay="):
            call()
    with pytest.raises(ConfigError, match="they mix"):
        _ = modes.critical_penalty


def test_arguments_of_modes_are_checked():
    modes = linear_modes(_S1, _TWO)
    for name, call in (
        ("decay", lambda: modes.decay_rates(decay=-1)),
        ("penalty", lambda: modes.spectrum(penalty="a")),
        ("particle_step", lambda: modes.least_decay(-1)),
    ):
        with pytest.raises(ConfigError, match=f"'{name}' must be a number of at least 0"):
            call()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x, y: -_S1(x, y), r"not positive definite: k\(x, x\) = -1"),
        (lambda x, y: 1 + (x @ y.T) ** 2 - 2 * x @ y.T, "not positive definite"),
        (lambda x, y: x @ (y + 1).T * jnp.exp(x[:, :1]), "is not symmetric"),
    ],
)
def test_what_is_no_kernel_is_told_so(function, says):
    with pytest.raises(ConfigError, match=says):
        linear_modes(function, torch.tensor([[0.5], [-0.5]]))


def test_matrix_in_two_dimensions_by_the_formula():
    """k = exp(-|v|^2 / (2 s^2)): d_x d_y k = (I - v v^T / s^2) k / s^2."""
    s, points = 1.3, torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).double()
    difference = (points[:, None] - points[None]).numpy()
    k = np.exp(-(difference**2).sum(-1) / (2 * s**2))[..., None, None]
    blocks = (np.eye(2) - difference[..., :, None] * difference[..., None, :] / s**2) * k / s**2 / 4
    found = linear_modes(RBF(2 / (2 * s**2)), points).matrix
    np.testing.assert_allclose(found, blocks.transpose(0, 2, 1, 3).reshape(8, 8), rtol=0, atol=1e-12)


def test_simultaneous_steps_need_decay():
    """One particle in the full kernel model: it dies out just above the threshold and grows just below."""
    step = 0.1
    least = linear_modes(_S1, _ONE).least_decay(step)
    assert least == pytest.approx(step)
    for share, radius in ((0.8, 1.000999), (0.95, 1.000250), (1.05, 0.999750), (1.2, 0.998999)):
        matrix = np.array([[1 - step * share * least, step], [-step, 1.0]])  # b and x, discriminator rate 0.1 too
        assert max(abs(np.linalg.eigvals(matrix))) == pytest.approx(radius, abs=1e-6)
        assert (share < 1) == (radius > 1)


class Rooted(Kernel):
    """A Gaussian kernel of the distance, whose square is taken again."""

    def __init__(self, guarded):
        self.root = length if guarded else jnp.sqrt

    def __call__(self, x, y):
        return jnp.exp(-(self.root(jnp.sum((x[:, None] - y[None]) ** 2, -1)) ** 2))


@pytest.mark.parametrize(
    "given",
    [
        {"points": _TWO.numpy(), "coupling": np.array([[1, 0.5], [0.5, 1]]), "rates": np.array([1.0, 0.5])},
        {"points": _TWO.tolist(), "coupling": CoupledParticles(2, (1,), coupling=0.5), "rates": [1, 0.5]},
        {"points": _TWO.double(), "coupling": torch.tensor(0.5), "rates": torch.tensor([1.0, 0.5])},
    ],
)
def test_points_couplings_and_rates_may_be_arrays(given):
    found, wanted = linear_modes(_S1, **given), linear_modes(_S1, _TWO, 0.5, (1.0, 0.5))
    np.testing.assert_array_equal(found.mu, wanted.mu)
    assert found.rate == wanted.rate


def test_function_may_be_the_kernel():
    found = linear_modes(lambda x, y: jnp.exp(-jnp.sum((x[:, None] - y[None]) ** 2, -1) / 2), _TWO)
    np.testing.assert_allclose(found.mu, linear_modes(_S1, _TWO).mu, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_modes(_S1, torch.zeros(2)), r"vectors \(n, d\)"),
        (lambda: linear_modes(_S1, [1.5, -1.5]), r"vectors \(n, d\) of finite numbers, got shape \(2,\)"),
        (lambda: linear_modes(_S1, [[1.5], [1.0, 2.0]]), r"vectors \(n, d\)"),
        (lambda: linear_modes(_S1, torch.full((2, 1), math.nan)), r"vectors \(n, d\) of finite numbers"),
        (lambda: linear_modes(_S1, "grid"), r"vectors \(n, d\) of finite numbers, got 'grid'"),
        (lambda: linear_modes(_S1, _TWO, 1.5), r"'coupling' must be a number in \[0, 1\] or a matrix, got 1.5"),
        (lambda: linear_modes(_S1, _TWO, "strong"), "or a matrix, got 'strong'"),
        (lambda: linear_modes(_S1, _TWO, torch.eye(3)), r"matrix \(2, 2\), got \(3, 3\)"),
        (lambda: linear_modes(_S1, _TWO, CoupledParticles(3)), r"matrix \(2, 2\), got \(3, 3\)"),
        (lambda: linear_modes(_S1, _TWO, torch.tensor([[1.0, 0.0], [0.5, 1.0]])), "'coupling' must be symmetric"),
        (lambda: linear_modes(_S1, _TWO, -torch.eye(2)), "'coupling' must be positive semidefinite"),
        (lambda: linear_modes(_S1, _TWO, rates=(1.0, 0.0)), "'rates' must be two positive"),
        (lambda: linear_modes(_S1, _TWO, rates=0.1), r"'rates' must be two positive .*\(1.0, 0.1\), got 0.1"),
        (lambda: linear_modes(_S1, _TWO, rates=("fast", "slow")), "'rates' must be two positive"),
        (lambda: linear_modes(RBF, _TWO), r"such as RBF\(gamma=0.5\), got the class RBF: make one of it"),
        (lambda: linear_modes("RBF", _TWO), "an architecture or a kernel .* got 'RBF'"),
        (lambda: linear_modes(lambda x, y: x, _TWO), r"of 1 and 2 samples it gives float64 \(1, 1\)"),
        (
            lambda: linear_modes(Rooted(False), _TWO),
            "of Rooted where two samples coincide are NaN: .*without a root",
        ),
        (
            lambda: linear_modes(Rooted(True), _TWO),
            "of Rooted where two samples coincide are not those of its values",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


_INSIDE = TransformedKernel(MLP(1).kernel("ntk"))


@pytest.mark.parametrize("kernel", [MLP(1), _INSIDE, Laplace(), EnergyDistance(), Polyharmonic(1.5)], ids=repr)
def test_kernels_with_a_cusp_are_refused(kernel):
    with pytest.raises(ConfigError, match="no second derivatives where points meet"):
        linear_modes(kernel, _TWO)


@pytest.mark.parametrize("size", [1e-2, 1.0, 100.0])
@pytest.mark.parametrize("kernel", [MLP(1, "erf"), RBF(500.0), Polyharmonic(1.0, 0.5), InverseMultiquadric()], ids=repr)
def test_smooth_kernels_are_taken_at_any_size(kernel, size):
    assert np.isfinite(linear_modes(kernel, size * _TWO).matrix).all()


def test_coupled_modes_in_two_dimensions_are_those_of_gamma_b():
    """Coordinates of a particle lie together."""
    stream = torch.Generator().manual_seed(0)
    points, factor = (torch.randn(4, size, generator=stream).double() for size in (2, 4))
    gamma = factor @ factor.T
    modes = linear_modes(RBF(0.7), points, gamma)
    whole = np.kron(gamma.numpy(), np.eye(2)) @ modes.matrix
    np.testing.assert_allclose(modes.mu, np.sort(np.linalg.eigvals(whole).real), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "kernel",
    [
        MLP(1, "erf"),
        pytest.param(MLP(2, "gelu", layer_norm=True), marks=pytest.mark.slow),
        pytest.param(MLP(1, ["erf", "sin"]), marks=pytest.mark.slow),
        Transformed(MLP(1, "erf"), "tanh"),
        TransformedKernel(RBF(0.7)),
        InverseMultiquadric(),
    ],
    ids=repr,
)
def test_matrix_is_that_of_differences(kernel):
    """Blocks of kernels of angles are not symmetric: rows have the coordinates of x, columns those of y."""
    points, step = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double(), 1e-3
    called = kernel.kernel("ntk") if isinstance(kernel, Architecture) else kernel
    moves = np.array([[sign * step * np.eye(2)[axis] for sign in (1, -1)] for axis in range(2)])
    moved = (points.numpy()[:, None, None] + moves).reshape(-1, 2)
    with jax.enable_x64(True):
        gram = np.asarray(called(jnp.asarray(moved), jnp.asarray(moved))).reshape(3, 2, 2, 3, 2, 2)
    wanted = (gram[:, :, 0, :, :, 0] - gram[:, :, 0, :, :, 1] - gram[:, :, 1, :, :, 0] + gram[:, :, 1, :, :, 1]) / 4
    # Fourth derivatives, of some units, times the step's square; rounding over it is 1e-10.
    found = linear_modes(kernel, points).matrix
    np.testing.assert_allclose(found, wanted.reshape(6, 6) / step**2 / 3, rtol=0, atol=10 * step**2)


@pytest.mark.parametrize("kernel", [MLP(1, "erf").kernel(), RBF()], ids=repr)
def test_derivatives_of_gram_matrices_are_there_once(kernel):
    x = jnp.ones((1, 2))
    with pytest.raises(ConfigError, match="of_pair"):
        jax.jacrev(jax.grad(lambda y: kernel(x, y)[0, 0]))(x)
