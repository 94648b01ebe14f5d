"""Ridge solutions and the gradient penalty: exact small cases, Danskin's theorem, stationarity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import InitialFunction, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import RBF, Laplace
from lightning_gantk.kernels.dynamics.ridge import Ridge
from lightning_gantk.losses import IPM, KALE, LSGAN, Hinge, Saddle, Vanilla

_UNIT = RBF(gamma=0.5)


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def _ridge(loss, ridge, **options):
    return NTKDiscriminator(_UNIT, loss, solution="ridge", ridge=ridge, dtype="float64", check_every=0, **options)


_REAL, _FAKE = _column(0.0, 1.0, 2.5), _column(-0.5, 0.4, 0.6)


def _slope(discriminator, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x)[0]


def _value(discriminator, ridge):
    """V = L(f) - (ridge / 2) |f|^2, with |f|^2 the sum of w f over the points."""
    scores = [discriminator(batch) for batch in (_FAKE, _REAL)]
    weights = torch.from_numpy(np.array(discriminator._trained.weights))
    return float(discriminator.loss.discriminator(scores[1], scores[0]) - ridge / 2 * weights @ torch.cat(scores))


def test_the_saddle_of_least_squares_follows_the_gradient_of_its_value():
    discriminator, fake = _ridge(Saddle(LSGAN()), 0.1), _FAKE.clone().requires_grad_()
    loss = discriminator.generator_loss(_REAL, fake)
    (gradient,) = torch.autograd.grad(loss, fake)
    assert _value(discriminator, 0.1) == pytest.approx(-1.456652, abs=1e-6)
    np.testing.assert_allclose(gradient[:, 0], [-0.060464, -0.226168, -0.395674], atol=1e-6)


@pytest.mark.parametrize("loss", [Vanilla(), KALE()], ids=repr)
def test_the_ridge_solution_is_stationary_and_its_value_has_the_frozen_gradient(loss):
    ridge, loss = 0.05, Saddle(loss)
    discriminator, fake = _ridge(loss, ridge), _FAKE.clone().requires_grad_()
    gradient = torch.autograd.grad(discriminator.generator_loss(_REAL, fake), fake)[0]
    f = torch.cat([discriminator(_FAKE), discriminator(_REAL)]).requires_grad_()
    slopes = torch.autograd.grad(loss.discriminator(f[3:], f[:3]), f)[0]
    np.testing.assert_allclose(np.asarray(discriminator._trained.weights) * ridge, slopes, atol=1e-8)
    values = []
    for side in (1e-4, -1e-4):
        discriminator.fit(_REAL, _FAKE + side * _column(1.0, 0.0, 0.0))
        scores = [discriminator(batch) for batch in (_FAKE + side * _column(1.0, 0.0, 0.0), _REAL)]
        weights = torch.from_numpy(np.array(discriminator._trained.weights))
        values.append(float(loss.discriminator(scores[1], scores[0]) - ridge / 2 * weights @ torch.cat(scores)))
    # A central difference errs by its step squared times a third derivative of some units.
    assert (values[0] - values[1]) / 2e-4 == pytest.approx(float(gradient[0, 0]), abs=1e-6)


def test_ridge_of_ipm_is_the_flow_for_its_inverse_time():
    ridge, flow = _ridge(IPM(), 0.25), NTKDiscriminator(_UNIT, IPM(), time=4.0, dtype="float64")
    for discriminator in (ridge, flow):
        discriminator.fit(_REAL, _FAKE)
    torch.testing.assert_close(ridge(_FAKE), flow(_FAKE))
    scores = flow(_REAL), flow(_FAKE)
    torch.testing.assert_close(ridge.statistics(*scores)["mmd"], flow.statistics(*scores)["mmd"])


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla()], ids=repr)
def test_ridge_solution_does_not_depend_on_a_time(loss):
    x, found = _column(0.3, 1.7), []
    for time in (1.0, 0.0):
        discriminator = _ridge(loss, 0.5, time=time)
        discriminator.fit(_REAL, _FAKE)
        found.append(discriminator(x))
    assert torch.equal(*found) and found[0].abs().max() > 0.01


def test_gradient_penalty_of_two_points():
    """Fake 1, real 0, the penalty at the real; lambda = alpha = 1."""
    discriminator = _ridge(IPM(), 1.0, gradient_penalty=1.0)
    discriminator.fit(_column(0.0), _column(1.0))
    assert float(_slope(discriminator, _column(0.0))) == pytest.approx(0.303265, abs=1e-6)
    assert float(discriminator(_column(1.0))) == pytest.approx(0.209529, abs=1e-6)
    assert float(_slope(discriminator, _column(1.0))) == pytest.approx(0.606531, abs=1e-6)


def test_gradient_penalty_maximises_its_objective():
    """No other function of the same span does better: in two dimensions, filling of a ragged batch included."""
    torch.manual_seed(0)
    ridge, penalty = 0.5, 2.0
    discriminator = NTKDiscriminator(
        RBF(1.0), IPM(), solution="ridge", ridge=ridge, gradient_penalty=penalty, dtype="float64"
    )
    alone = NTKDiscriminator(RBF(1.0), IPM(), solution="ridge", ridge=ridge, gradient_penalty=penalty, dtype="float64")
    real, fake = torch.randn(5, 2).double(), torch.randn(4, 2).double() + 1
    discriminator.fit(torch.randn(7, 2).double(), torch.randn(6, 2).double())
    discriminator.fit(real, fake)
    alone.fit(real, fake)
    torch.testing.assert_close(discriminator(fake), alone(fake))
    # f is a sum over d. grad k and k: by the reproducing property <f, g> of the maximiser's equation holds for every g:
    # lambda <f, g> + alpha E_real grad f . grad g = E_fake g - E_real g; here for g = k(., z).
    z = torch.randn(3, 2).double()
    kernel = lambda x, y: torch.exp(-((x[:, None] - y[None]) ** 2).mean(2))  # noqa: E731
    left = ridge * alone(z)
    at = real.clone().requires_grad_()
    slopes = torch.autograd.grad(alone(at).sum(), at)[0]
    for index, one in enumerate(z):
        of_k = torch.autograd.grad(kernel(at, one[None]).sum(), at)[0]
        left[index] += penalty * (slopes * of_k).sum(1).mean()
    torch.testing.assert_close(left, kernel(fake, z).mean(0) - kernel(real, z).mean(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _ridge(IPM(), 0.0), "'ridge' must be positive"),
        (lambda: _ridge(IPM(), None), "go together"),
        (lambda: _ridge(Hinge(), 1.0), "smooth slopes"),
        (lambda: _ridge(LSGAN(), 1.0, gradient_penalty=1.0), "is solved for IPM"),
        (lambda: _ridge(IPM(), 1.0, gradient_penalty=-1.0), "'gradient_penalty' must be a number of at least 0"),
        (lambda: NTKDiscriminator(_UNIT, IPM(), gradient_penalty=1.0), "is of solution='ridge'"),
        (lambda: NTKDiscriminator(_UNIT, IPM(), ridge=1.0), "go together"),
        (lambda: _penalised(RBF(), initial=InitialFunction(MLP(1), width=2)), "f starts from 0: leave 'initial' out"),
        (lambda: _penalised(Laplace()), "takes second derivatives"),
        (lambda: _penalised(MLP(1)), "takes second derivatives"),
        (lambda: _penalised(RBF()).fit(torch.zeros(50, 100), torch.zeros(2, 100)), "5000 equations, more than 4096"),
    ],
)
def test_what_cannot_be_solved_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def _penalised(kernel, **options):
    return NTKDiscriminator(kernel, IPM(), solution="ridge", ridge=1.0, gradient_penalty=1.0, **options)


@pytest.mark.parametrize("start", [(6.0, -6.0, 6.0), (-6.0, 6.0, -6.0), (20.0, 20.0, -20.0), (-20.0, -20.0, 20.0)])
@pytest.mark.parametrize("loss", [KALE(), Vanilla(), LSGAN()], ids=repr)
@pytest.mark.parametrize("ridge", [0.1, 0.001])  # of the smaller one whole steps of vanilla and KALE come to no end
def test_newtons_steps_come_to_a_stationary_point_from_far(loss, start, ridge):
    with jax.enable_x64(True):
        matrix = jnp.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.4], [0.2, 0.4, 1.0]])
        mass, fake, f_0 = jnp.array([0.5, 0.5, 1.0]), jnp.array([True, True, False]), jnp.array(start)
        flow = Ridge(loss, 1.0, 1e-12, ridge=ridge)
        found = flow.weights_from_matrix(matrix, mass, fake, f_0)
        left = ridge * found.weights - mass * flow.slopes(f_0 + matrix @ found.weights, fake)
    assert found.converged
    assert float(abs(left).max()) < 1e-10 * (1 + float(abs(found.weights).max()))  # float64, and some digits of slack
