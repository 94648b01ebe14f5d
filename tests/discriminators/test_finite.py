"""The finite discriminator."""

import copy
import pickle

import pytest
import torch
from torch import nn

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import FiniteDiscriminator
from lightning_gantk.discriminators.base import fitting_alone
from lightning_gantk.discriminators.conditional import conditional
from lightning_gantk.discriminators.labels import joined
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, LSGAN, Hinge


def _batch(shape=(3,)):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, *shape, generator=generator) + 1, torch.randn(6, *shape, generator=generator)


def _make(**arguments):
    torch.manual_seed(0)
    return FiniteDiscriminator(**{"architecture": MLP(hidden_layers=2), "loss": IPM(), "width": 32, **arguments})


def test_one_step_is_gradient_ascent_on_the_objective_with_rate_time_over_steps():
    real, fake = _batch()
    discriminator = _make(time=0.6, steps=1)
    discriminator.build((3,))
    twin = copy.deepcopy(discriminator.network).requires_grad_(True)
    (-discriminator.loss.discriminator(twin(real), twin(fake))).backward()
    discriminator.fit(real, fake)
    for after, before in zip(discriminator.network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(after.data, before.data - 0.6 * before.grad)
    assert _make(time=0.6, steps=3)._make_optimizer(twin.parameters()).defaults["lr"] == pytest.approx(0.2)


class _Raw(nn.Module):
    """A parameter that nobody draws anew."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x @ self.slope


def test_antisymmetric_network_starts_at_zero():
    x = torch.randn(4, 3)
    assert (_make()(x) == 0).all()
    assert (_make(antisymmetric=False)(x) != 0).any()


def test_kept_network_goes_on_and_reset_network_starts_anew():
    real, fake = _batch()
    kept, reset = _make(antisymmetric=False), _make(antisymmetric=False, reset=True)
    objectives = {}
    for name, discriminator in (("kept", kept), ("reset", reset)):
        for _ in range(4):
            discriminator.fit(real, fake)
        with torch.no_grad():
            objectives[name] = IPM().discriminator(discriminator(real), discriminator(fake))
    assert objectives["kept"] > 2 * objectives["reset"]


def test_reset_forgets_the_optimizer():
    discriminator = _make(reset=True, time=None, optimizer=lambda p: torch.optim.Adam(p, lr=1e-3))
    for _ in range(3):
        discriminator.fit(*_batch())
    assert {int(state["step"]) for state in discriminator.optimizer.state.values()} == {1}


def test_gradient_penalty_pulls_the_gradient_norm_to_one():
    real, fake = _batch()
    norms = {}
    for weight in (0.0, 10.0):
        discriminator = _make(
            time=None, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2), steps=300, gradient_penalty=weight
        )
        discriminator.fit(real, fake)
        x = ((real[:6] + fake) / 2).requires_grad_()
        discriminator(x).sum().backward()
        norms[weight] = x.grad.norm(dim=1).mean()
    assert abs(norms[10.0] - 1) < 0.2
    assert norms[0.0] > 3


def test_spectral_norm_bounds_the_lipschitz_constant():
    discriminator = _make(
        loss=Hinge(),
        spectral_norm=True,
        antisymmetric=False,
        time=None,
        optimizer=lambda p: torch.optim.Adam(p, lr=1e-2),
        steps=200,
    )
    discriminator.fit(*_batch())
    x = torch.randn(64, 3, requires_grad=True)
    discriminator.eval()
    discriminator(x).sum().backward()
    # Each layer has norm 1 up to the power iteration, which lags by a step of size 1e-2 behind: five layers at most.
    assert x.grad.norm(dim=1).max() < 1.05


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Hinge()], ids=repr)
def test_images_and_convolutions_train(loss):
    discriminator = _make(architecture=DCGAN(blocks=2), loss=loss, width=8, steps=5, time=0.05)
    real, fake = _batch((3, 8, 8))
    discriminator.fit(real, fake)
    start = loss.discriminator(torch.zeros(1), torch.zeros(1))
    with torch.no_grad():
        assert loss.discriminator(discriminator(real), discriminator(fake)) > start


def test_antisymmetric_network_starts_at_zero_with_spectral_norm_too():
    discriminator = FiniteDiscriminator(MLP(2), IPM(), width=64, spectral_norm=True)
    discriminator.build((3,))
    assert not discriminator(torch.randn(20, 3)).any()


def test_label_planes_of_a_conditional_network_are_not_penalised():
    """A network of slope 1 in the sample, and of slope 5 in one class."""

    class Slopes(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.tensor([1.0, 0.0, 5.0]))  # one coordinate, two classes

        def forward(self, x):
            return x @ self.slope

    inner = FiniteDiscriminator(Slopes(), IPM(), time=1.0, gradient_penalty=1.0)
    discriminator = conditional(inner, 2)
    real, fake = (joined(torch.full((4, 1), place), torch.tensor([0, 1, 0, 1])) for place in (0.0, 1.0))
    discriminator.build((2,))
    discriminator.fit(real, fake)
    # Ascent on E_fake f - E_real f alone: the penalty (|1| - 1)^2 and its gradient are 0.
    torch.testing.assert_close(inner.network.slope.detach(), torch.tensor([2.0, 0.0, 5.0]))


def test_torch_module_of_ones_own_is_trained_in_a_copy():
    module = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    before = copy.deepcopy(module.state_dict())
    discriminator = FiniteDiscriminator(module, LSGAN(), time=0.1)
    discriminator.fit(*_batch())
    assert discriminator(torch.randn(5, 3)).shape == (5,)
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _make(time=-0.5), "at least 0, got time=-0.5"),
        (lambda: _make(steps=0), "'steps' must be a whole number of at least 1"),
        (lambda: _make(width=0), "'width' must be a whole number of at least 1"),
        (lambda: _make(gradient_penalty=-1.0), "'gradient_penalty' must be a number of at least 0"),
        (lambda: _make(time=None), "set one of them to null"),
        (lambda: _make(optimizer=lambda p: torch.optim.Adam(p)), "set one of them to null"),
        (lambda: _make(architecture="mlp"), "'architecture' must be an Architecture or a torch module"),
        (lambda: _make(architecture=DCGAN()).build((3,)), "DCGAN takes images"),
        (lambda: _make(architecture=_Raw(), reset=True), "_Raw has parameters without"),
        (lambda: _make(architecture=nn.Linear(3, 2))(torch.randn(4, 3)), r"one score per sample.*got \(4, 2\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize("options", [{}, {"spectral_norm": True}, {"time": None, "optimizer": torch.optim.Adam}])
def test_discriminator_that_was_pickled_goes_on_as_the_same(options):
    real, fake = torch.randn(6, 1, 8, 8), torch.randn(5, 1, 8, 8)
    discriminator = FiniteDiscriminator(DCGAN(blocks=1), LSGAN(), width=4, **options)
    discriminator.fit(real, fake)
    other = pickle.loads(pickle.dumps(discriminator))
    for one in (discriminator, other):
        one.fit(real, fake)
    assert torch.equal(other(real), discriminator(real))


def test_second_thread_that_fits_at_once_is_refused():
    discriminator = FiniteDiscriminator(MLP(), LSGAN(), width=4)
    with fitting_alone(discriminator), pytest.raises(RuntimeError, match="Two threads fit one FiniteDiscriminator"):
        discriminator.fit(torch.randn(3, 2), torch.randn(3, 2))
