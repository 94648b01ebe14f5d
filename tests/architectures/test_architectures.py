"""Architectures: one description, two networks that agree."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.architectures.activations import ACTIVATIONS, parse_activations
from lightning_gantk.architectures.layers import Conv, NTKConv, Pointwise
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.neural_tangents import load
from lightning_gantk.kernels.stax import stax_layer
from lightning_gantk.testing.empirical import empirical_ntk, errors_at_two_widths

PARAMETERS = {"erf": {"a": 0.7, "b": 1.3, "c": 0.4}, "sin": {"a": 0.7, "b": 1.3, "c": 0.4}, "rbf": {"gamma": 0.6}}


# Those of tests/own_parts, which may have been imported before, need not be functions that neural-tangents has.
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if not name.startswith("own_")])
def test_activation_is_the_same_function_on_both_sides(name):
    (activation,) = parse_activations({"name": name, **PARAMETERS.get(name, {})})
    x = np.linspace(-3, 3, 25, dtype=np.float32)[:, None]
    _, apply, _ = stax_layer(Pointwise(activation), load().stax)
    np.testing.assert_allclose(activation.module()(torch.from_numpy(x)), apply((), jnp.array(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("stride", "kernel_size"), [(1, 3), (2, 4), (2, 3), (3, 4)])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (5, 5)])
def test_convolution_pads_as_xla_does(size, stride, kernel_size):
    torch.manual_seed(0)
    module, shape = Conv(kernel_size, stride, 1.3, 0.5).build((3, *size), width=4)
    assert isinstance(module, NTKConv)
    x = torch.randn(2, 3, *size)
    _, apply, _ = stax_layer(Conv(kernel_size, stride, 1.3, 0.5), load().stax)
    weight = jnp.array(module.weight.detach().permute(2, 3, 1, 0).numpy())
    bias = jnp.array(module.bias.detach().numpy()).reshape(1, 1, 1, -1)
    # The layer of neural-tangents scales inside; its parameters are standard normal as ours are.
    expected = apply((weight, bias), jnp.array(x.permute(0, 2, 3, 1).numpy()))
    found = module(x).detach().permute(0, 2, 3, 1)
    assert found.shape[1:] == (*shape[1:], shape[0])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# One of every kind of layer and of parallel branches. Each activation has this claim in its contract.
QUICK = ("mlp-images", "mlp-parallel", "resnet-layernorm", "dcgan-colour")
CASES = {
    "mlp": (MLP(hidden_layers=2), (5,)),
    "mlp-images": (MLP(hidden_layers=1, b_std=0.5, W_std=1.4), (2, 3, 3)),
    "mlp-layernorm": (MLP(hidden_layers=3, layer_norm=True), (5,)),
    "mlp-no-bias": (MLP(hidden_layers=2, b_std=None), (5,)),
    "mlp-parallel": (MLP(hidden_layers=2, activation=["relu", {"name": "erf", "c": 0.5}]), (5,)),
    "resnet": (ResNet(blocks=2, block_depth=1), (5,)),
    "resnet-layernorm": (ResNet(blocks=1, block_depth=2, layer_norm=True), (5,)),
    "dcgan": (DCGAN(blocks=2, b_std=0.3), (1, 8, 8)),
    "dcgan-colour": (DCGAN(blocks=1, activation="leaky_relu", layer_norm=True), (3, 6, 6)),
    "dcgan-global": (DCGAN(blocks=1, top="global_average"), (1, 6, 6)),
    "dcgan-parallel": (DCGAN(blocks=1, activation=["relu", "erf"]), (1, 6, 6)),
}


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case not in QUICK)) for case in CASES])
def test_empirical_ntk_of_the_finite_network_tends_to_the_kernel(case):
    """Both sides are the same network, or the error would stay."""
    _, wide, allowed = errors_at_two_widths(*CASES[case])
    assert wide <= allowed


def test_antisymmetric_network_starts_at_zero_with_the_same_ntk():
    torch.manual_seed(0)
    x = torch.randn(3, 5)
    pair = MLP(hidden_layers=1).network(32, (5,), antisymmetric=True)
    assert (pair(x) == 0).all()
    torch.testing.assert_close(empirical_ntk(pair, x, x), empirical_ntk(pair.plus, x, x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(activation="swish"), "Unknown activation 'swish'; allowed are relu"),
        (lambda: MLP(activation={"name": "erf", "gamma": 1}), "no parameter 'gamma'; allowed: a"),
        (lambda: MLP(activation={"name": "rbf", "gamma": -1.0}), "must be positive, got -1"),
        (lambda: MLP(activation=[]), "'activation' must be a name"),
        (lambda: MLP(activation={"alpha": 1}), "a mapping with a 'name'"),
        (lambda: MLP(hidden_layers=0), "'hidden_layers' must be a whole number of at least 1, got 0"),
        (lambda: MLP(W_std=0.0), "'W_std' must be positive, got 0"),
        (lambda: MLP(b_std=-1.0), "'b_std' must be null"),
        (lambda: ResNet(block_depth=0), "'block_depth'"),
        (lambda: DCGAN(top="max"), "'top' must be 'flatten' or 'global_average'"),
        (lambda: DCGAN().network(8, (5,)), "DCGAN takes images"),
        (lambda: MLP().network(0, (5,)), "'width' must be a whole number of at least 1"),
        (lambda: MLP().kernel("nkt"), "'ntk' or 'nngp'"),
    ],
)
def test_bad_description_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_description_says_what_it_is():
    assert repr(MLP(b_std=None)) == (
        "MLP(hidden_layers=3, activation='relu', W_std=1.0, b_std=None, layer_norm=False, parameterization='ntk', "
        "base_width=None)"
    )
