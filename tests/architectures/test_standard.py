"""The standard parameterization: plain networks, and the kernel that neural-tangents gives them."""

import jax
import numpy as np
import pytest
import torch
from oracle import stored
from oracle.problems import BASE_WIDTH, FAMILIES

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM
from lightning_gantk.testing.empirical import errors_at_two_widths, nhwc

_STANDARD = {"parameterization": "standard", "base_width": BASE_WIDTH}
CASES = {
    "mlp": (MLP(hidden_layers=2, W_std=1.3, b_std=0.5, **_STANDARD), (5,)),
    "mlp-images": (MLP(hidden_layers=1, b_std=None, **_STANDARD), (2, 3, 3)),
    "mlp-parallel": (MLP(hidden_layers=2, activation=["relu", "erf"], **_STANDARD), (5,)),
    "resnet": (ResNet(blocks=1, block_depth=2, **_STANDARD), (5,)),
    "dcgan": (DCGAN(blocks=2, b_std=0.3, **_STANDARD), (3, 8, 8)),
}


@pytest.mark.parametrize("name", ["mlp", "mlp-images", pytest.param("dcgan", marks=pytest.mark.slow)])
def test_kernel_and_its_gradient_are_those_of_neural_tangents(name):
    """Of the same networks, written for it by hand."""
    problem, wanted = FAMILIES["standard"][name], stored("standard", name)
    real, fake, x = problem.inputs()
    with jax.enable_x64(True):
        found = problem.architecture.kernel("ntk")(nhwc(x), nhwc(real))
    np.testing.assert_allclose(found, wanted["gram"], rtol=1e-12)
    discriminator = NTKDiscriminator(problem.architecture, IPM(), dtype="float64")
    discriminator.fit(real, fake)
    x.requires_grad_()
    discriminator(x).sum().backward()
    # The products sum in another order: rounding of numbers of the size of the kernel's largest.
    largest = float(np.abs(found).max())
    np.testing.assert_allclose(discriminator(x).detach(), wanted["scores"], atol=1e-12 * largest)
    np.testing.assert_allclose(nhwc(x.grad), wanted["gradient"], atol=1e-11 * largest)


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case != "mlp")) for case in CASES])
def test_empirical_ntk_tends_to_the_kernel(case):
    """At a base width that stays."""
    _, wide, allowed = errors_at_two_widths(*CASES[case])
    assert wide <= allowed


def test_network_without_base_width_is_the_plain_one_at_every_width():
    torch.manual_seed(0)
    standard = MLP(hidden_layers=2, W_std=1.5, b_std=0.5, parameterization="standard").network(400, (6,))
    first, second, last = (module for module in standard.modules() if hasattr(module, "weight"))
    plain = torch.nn.Sequential(
        torch.nn.Linear(6, 400), torch.nn.ReLU(), torch.nn.Linear(400, 400), torch.nn.ReLU(), torch.nn.Linear(400, 1)
    )
    for ours, theirs in zip((first, second, last), plain[::2], strict=True):
        theirs.weight.data = ours.weight.data
        theirs.bias.data = torch.zeros(1) if ours.bias is None else ours.bias.data
    x = torch.randn(7, 6)
    torch.testing.assert_close(standard(x), plain(x)[:, 0])
    # A standard deviation of n numbers is off by 1 / sqrt(2 n), four times that at most.
    for module, fan_in in ((first, 6), (second, 400)):
        n = module.weight.numel()
        assert abs(module.weight.std() / (1.5 / fan_in**0.5) - 1) < 4 / (2 * n) ** 0.5
        assert abs(module.bias.std() / 0.5 - 1) < 4 / (2 * 400) ** 0.5


def test_parameterizations_start_as_the_same_function():
    networks = []
    for options in ({}, {"parameterization": "standard"}, _STANDARD):
        torch.manual_seed(0)
        networks.append(DCGAN(blocks=1, b_std=0.3, **options).network(8, (1, 6, 6)))
    x = torch.randn(3, 1, 6, 6)
    torch.testing.assert_close(networks[0](x), networks[1](x))
    torch.testing.assert_close(networks[0](x), networks[2](x))


@pytest.mark.slow
def test_finite_discriminator_tends_to_the_infinite_one():
    architecture, time = MLP(hidden_layers=2, parameterization="standard", base_width=16), 0.02
    generator = torch.Generator().manual_seed(0)
    real, fake, x = (torch.randn(6, 3, generator=generator) + shift for shift in (1.0, -1.0, 0.3))
    infinite = NTKDiscriminator(architecture, IPM(), time=time, dtype="float64")
    infinite.fit(real, fake)

    def error(width, draws=12):
        errors = []
        for seed in range(draws):
            torch.manual_seed(seed)
            finite = FiniteDiscriminator(architecture, IPM(), width=width, time=time, steps=20)
            finite.fit(real, fake)
            errors.append((finite(x) - infinite(x)).norm() / infinite(x).norm())
        return np.sqrt(np.mean(np.square(errors)))

    assert error(1024) < error(64) / 2  # 4 times smaller, and room for the Monte-Carlo error of both, 20 % each


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="grows with the width and has no limit: set 'base_width'"):
        MLP(parameterization="standard").kernel()
    with pytest.raises(ConfigError, match="'parameterization' must be 'ntk' or 'standard', got 'mup'"):
        MLP(parameterization="mup")
    with pytest.raises(ConfigError, match="'base_width' belongs to the standard parameterization"):
        ResNet(base_width=12)
    with pytest.raises(ConfigError, match="'base_width' must be a whole number of at least 1, got 0"):
        DCGAN(parameterization="standard", base_width=0)
