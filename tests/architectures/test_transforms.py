"""Input transforms: the finite network and the kernel see the same."""

import jax.numpy as jnp
import pytest
import torch

from lightning_gantk.architectures import MLP, ResNet, Transformed
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM

FUNCTIONS = {"identity": lambda x: x, "tanh": torch.tanh, "atanh": torch.atanh}
transforms = pytest.mark.parametrize("transform", FUNCTIONS)


@transforms
@pytest.mark.parametrize("antisymmetric", [False, True])
def test_the_network_is_that_of_transformed_samples(transform, antisymmetric):
    x = 1.8 * torch.rand(5, 2) - 0.9
    torch.manual_seed(0)
    network = Transformed(MLP(2), transform).network(8, (2,), antisymmetric=antisymmetric)
    torch.manual_seed(0)
    inner = MLP(2).network(8, (2,), antisymmetric=antisymmetric)
    torch.testing.assert_close(network(x), inner(FUNCTIONS[transform](x)))


@transforms
def test_the_empirical_ntk_tends_to_the_kernel(transform):
    torch.manual_seed(0)
    x = 1.6 * torch.rand(6, 2) - 0.8
    architecture, width = Transformed(MLP(1), transform), 4096
    rows = []
    network = architecture.network(width, (2,))
    for sample in x:
        network.zero_grad()
        network(sample[None]).sum().backward()
        rows.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    empirical = torch.stack(rows) @ torch.stack(rows).T
    kernel = torch.tensor(architecture.kernel()(jnp.asarray(x), jnp.asarray(x)).tolist())
    assert (empirical - kernel).abs().max() < 10 / width**0.5 * kernel.abs().max()


@transforms
def test_one_small_step_of_both_regimes_agrees(transform):
    torch.manual_seed(1)
    architecture = Transformed(ResNet(1, 1), transform)
    real, fake = 0.5 * torch.rand(8, 2), -0.5 * torch.rand(8, 2)
    finite = FiniteDiscriminator(architecture, IPM(), width=2048, time=0.01)
    infinite = NTKDiscriminator(architecture, IPM(), time=0.01)
    for discriminator in (finite, infinite):
        discriminator.fit(real, fake)
    x = fake.clone()
    difference = finite(x) - infinite(x)
    assert difference.abs().max() < 10 / 2048**0.5 * infinite(x).abs().max() + 1e-5


def test_atanh_is_finite_at_the_ends():
    architecture = Transformed(MLP(1), "atanh")
    x = torch.tensor([[-1.0, 1.0], [2.0, 0.0]], requires_grad=True)
    architecture.network(8, (2,))(x).sum().backward()
    assert x.grad.isfinite().all() and (x.grad.flatten()[:3] == 0).all()
    infinite = NTKDiscriminator(architecture, IPM())
    infinite.fit(torch.ones(3, 2), x.detach())
    y = x.detach().requires_grad_()
    infinite(y).sum().backward()
    assert y.grad.isfinite().all() and (y.grad.flatten()[:3] == 0).all()


def test_a_transform_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"identity, tanh, atanh.*'relu'"):
        Transformed(MLP(1), "relu")


def test_a_description_is_shown_whole():
    assert repr(Transformed(MLP(1), "tanh")).startswith("Transformed(architecture=MLP(hidden_layers=1")
