"""GA-NTK: exact cases of one real and one fake, six points against finite differences, and what is refused."""

import numpy as np
import pytest
import torch
from tiny import tiny_fit, tiny_generator

from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import SingleLevelNTK
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.kernels import RBF, Polyharmonic

_UNIT = RBF(gamma=0.5)


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def _loss(real, fake, time, kernel=_UNIT, **options):
    return _loss_of(SingleLevelNTK(kernel, time, **options), real, fake)


def _loss_of(discriminator, real, fake):
    fake = fake.clone().requires_grad_()
    loss = discriminator.generator_loss(real, fake)
    return float(loss.detach()), torch.autograd.grad(loss, fake)[0]


@pytest.mark.parametrize(
    ("time", "x", "value", "slope"),
    [
        (2.0, 1.0, 0.689426, 0.351604),
        (0.5, 1.0, 1.064103, 0.241139),
        (10.0, 1.0, 0.980640, 0.116269),
        (10.0, 0.2, 0.516135, 0.288904),
    ],
)
def test_one_real_and_one_fake(time, x, value, slope):
    found, gradient = _loss(_column(0.0), _column(x), time)
    assert found == pytest.approx(value, abs=1e-6)
    assert float(gradient) == pytest.approx(slope, abs=1e-6)


def test_predictions_and_the_gradient_with_training_held_fixed():
    discriminator = SingleLevelNTK(_UNIT, 2.0)
    discriminator.fit(_column(0.0), _column(1.0))
    x = _column(0.0, 1.0).requires_grad_()
    scores = discriminator(x)
    np.testing.assert_allclose(scores.detach(), [0.752265, 0.207502], atol=1e-6)
    (gradient,) = torch.autograd.grad((1 - scores[1]) ** 2, x)
    assert float(gradient[1]) == pytest.approx(0.952663, abs=1e-6)  # the two-level one, 2.7 times as large


def test_softmax_of_one_real_and_one_fake():
    value, gradient = _loss(_column(0.0), _column(1.0), 2.0, objective="softmax")
    assert value == pytest.approx(0.729793, abs=1e-6)
    assert float(gradient) == pytest.approx(0.073402, abs=1e-6)


def test_six_points():
    value, gradient = _loss(_column(0.0, 1.0, 2.5), _column(-0.5, 0.4, 0.6), 2.0)
    assert value == pytest.approx(1.904646, abs=1e-6)
    np.testing.assert_allclose(gradient[:, 0], [0.046044, -0.227856, -0.311853], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"ridge": 0.1, "targets": (1.0, -1.0)}, {"objective": "softmax"}], ids=str)
def test_gradient_is_the_slope_where_eigenvalues_meet_too(options):
    """Two fakes in one place, and an architecture's kernel whose diagonal is not constant."""
    torch.manual_seed(0)
    real, fake = torch.randn(4, 2).double(), torch.randn(3, 2).double()
    fake[1] = fake[0] + 1e-3
    kernel = MLP(1, "erf")
    _, gradient = _loss(real, fake, 1.5, kernel, **options)
    discriminator, step = SingleLevelNTK(kernel, 1.5, **options), 1e-4
    for i, a in ((0, 0), (2, 1)):
        move = torch.zeros_like(fake)
        move[i, a] = step
        ahead, behind = (float(discriminator.generator_loss(real, fake + side * move)) for side in (1, -1))
        assert (ahead - behind) / (2 * step) == pytest.approx(float(gradient[i, a]), abs=1e-6)


def test_fakes_that_equal_the_reals_are_not_the_minimum_at_a_finite_time():
    """Reals 0, 1, 2.5 at tau = 3: J is smaller at -0.22464, 1.206656, 2.822624, where its gradient vanishes."""
    real = _column(0.0, 1.0, 2.5)
    assert _loss(real, real, 3.0)[0] == pytest.approx(1.507529, abs=1e-6)
    value, gradient = _loss(real, _column(-0.22464, 1.206656, 2.822624), 3.0)
    assert value == pytest.approx(1.468405, abs=1e-6)
    assert float(gradient.abs().max()) < 1e-5  # places of 6 digits


@pytest.mark.parametrize(
    ("time", "minimum"), [(30.0, (-0.0743, 1.1143, 2.6206)), (300.0, (-0.0203, 1.0303, 2.5310))], ids=["30", "300"]
)
def test_the_minimum_comes_nearer_to_the_reals_with_time(time, minimum):
    real, at, step = _column(0.0, 1.0, 2.5), _column(*minimum), 1e-5
    discriminator = SingleLevelNTK(_UNIT, time)
    value, gradient = _loss_of(discriminator, real, at)
    assert value < _loss_of(discriminator, real, real)[0]
    moves = step * torch.eye(3, dtype=torch.float64)[:, :, None]
    ahead, behind = ([_loss_of(discriminator, real, at + side * move)[1] for move in moves] for side in (1, -1))
    curvature = [(one - other)[:, 0] for one, other in zip(ahead, behind, strict=True)]
    away = torch.linalg.solve(torch.stack(curvature) / (2 * step), gradient[:, 0])  # Newton's step to it
    assert float(away.abs().max()) < 5e-5  # places of 4 digits


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SingleLevelNTK(_UNIT, 0.0), "'time' of SingleLevelNTK must be positive"),
        (lambda: SingleLevelNTK(_UNIT, 1.0, ridge=-1.0), "'ridge' must be a number of at least 0"),
        (lambda: SingleLevelNTK(_UNIT, 1.0, targets=(1.0, 1.0)), "must differ"),
        (lambda: SingleLevelNTK(_UNIT, 1.0, objective="hinge"), "'objective' must be"),
        (lambda: SingleLevelNTK(_UNIT, 1.0, targets=(5.0, -3.0), objective="softmax"), "one-hot labels"),
        (lambda: SingleLevelNTK(Polyharmonic(), 1.0), "only for weights of sum 0"),
        (lambda: SingleLevelNTK(_UNIT, 1.0).fit(torch.zeros(4000, 1), torch.zeros(97, 1)), "at most 4096"),
        (lambda: GAN(Particles(4), SingleLevelNTK(_UNIT, 1.0), latents="fresh"), "latents must be 'shared'"),
        (lambda: GAN(Particles(4), SingleLevelNTK(_UNIT, 1.0), updates="simultaneous"), "updates 'alternating'"),
    ],
)
def test_what_cannot_be_done_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_grad_norm_is_that_of_j_at_the_fakes(tmp_path):
    torch.manual_seed(0)
    gan = GAN(tiny_generator(), SingleLevelNTK(_UNIT, 1.0), fake_batch_size=5)
    seen = []
    gan.generator.register_forward_hook(lambda _, __, samples: samples.register_hook(seen.append) and None)
    _, trainer = tiny_fit(tmp_path, gan=gan, trainer={"max_steps": 1, "limit_val_batches": 0})
    (gradient,) = seen
    assert trainer.logger.of("train/grad_norm") == {0: pytest.approx(float(gradient.norm(dim=1).mean()), rel=1e-5)}


def test_second_derivatives_are_refused():
    fake = _column(1.0).requires_grad_()
    loss = SingleLevelNTK(_UNIT, 1.0).generator_loss(_column(0.0), fake)
    (gradient,) = torch.autograd.grad(loss, fake, create_graph=True)
    with pytest.raises(NotImplementedError, match="once, not twice"):
        gradient.sum().backward()
