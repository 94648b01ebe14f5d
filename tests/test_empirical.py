"""The NTK of finite networks: an exact case, three methods that agree, and the pNTK at large width."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.empirical import cheapest, empirical_ntk
from lightning_gantk.errors import ConfigError

methods = pytest.mark.parametrize("method", ["jacobian", "products", "structured"])


def _small():
    network = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False)).double()
    weights = [[1, 0], [0, 1], [1, -1]], [[1, -1, 2], [0.5, 1, 0]]
    for layer, values in zip((network[0], network[2]), weights, strict=True):
        layer.weight.data = torch.tensor(values, dtype=torch.float64)
    return network


def _points():
    return torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[2.0, 0.5]]).double()


@methods
def test_kernel_of_three_units_is_exact(method):
    x, y = _points()
    crossed = torch.tensor([[9.0, -1.5], [-1.5, 6.75]]).double()
    own = torch.tensor([[15.0, -2.5], [-2.5, 11.25]]).double()
    torch.testing.assert_close(empirical_ntk(_small(), x, y, "full", method)[0, 0], crossed)
    torch.testing.assert_close(empirical_ntk(_small(), x, outputs="full", method=method)[0, 0], own)
    assert float(empirical_ntk(_small(), x, y, "sum", method)) == pytest.approx(6.375)
    assert float(empirical_ntk(_small(), x, y, "trace", method)) == pytest.approx(7.875)
    product = empirical_ntk(_small(), x, y, "full", method)[0, 0] @ torch.tensor([1.0, -2.0]).double()
    torch.testing.assert_close(product, torch.tensor([12.0, -15.0]).double())


@pytest.mark.parametrize("outputs", ["trace", "full", "sum"])
def test_methods_agree_on_layers_with_biases(outputs):
    torch.manual_seed(0)
    x, y = torch.randn(4, 3).double(), torch.randn(5, 3).double()
    for network in (
        MLP(2, "gelu", b_std=0.7).network(8, (3,), antisymmetric=True).double(),
        nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4)).double(),
    ):
        first, *others = (empirical_ntk(network, x, y, outputs, m) for m in ("jacobian", "products", "structured"))
        for other in others:
            torch.testing.assert_close(other, first)
        torch.testing.assert_close(empirical_ntk(network, x, y, outputs), first)


def test_activations_in_place_are_the_same():
    torch.manual_seed(0)
    dense, x = [nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 1)], torch.randn(4, 3).double()
    kernels = []
    for in_place in (False, True):
        between = [nn.LeakyReLU(0.2, inplace=in_place) for _ in range(2)]
        network = nn.Sequential(dense[0], between[0], dense[1], between[1], dense[2]).double()
        kernels += [empirical_ntk(network, x, method=m) for m in ("structured", "jacobian")]
    for kernel in kernels[1:]:
        torch.testing.assert_close(kernel, kernels[0])


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x))).sum(1)


@pytest.mark.parametrize(
    "make", [Tied, lambda: nn.Sequential(spectral_norm(nn.Linear(3, 5)), nn.Tanh(), nn.Linear(5, 1))]
)
def test_weights_that_are_more_than_a_layer_s_own_are_no_structure(make):
    torch.manual_seed(0)
    network, x = make().double().eval(), torch.randn(4, 3).double()
    with pytest.raises(ConfigError, match="all in dense layers"):
        empirical_ntk(network, x, method="structured")
    torch.testing.assert_close(empirical_ntk(network, x), empirical_ntk(network, x, method="jacobian"))


def test_convolutions_have_jacobians_and_products():
    torch.manual_seed(0)
    network, x = DCGAN(1).network(3, (1, 6, 6)).double(), torch.randn(3, 1, 6, 6).double()
    found = empirical_ntk(network, x, method="products")
    torch.testing.assert_close(found, empirical_ntk(network, x, method="jacobian"))
    with pytest.raises(ConfigError, match="all in dense layers"):
        empirical_ntk(network, x, method="structured")


def test_the_kernel_of_the_sum_tends_to_that_of_each_output():
    """Theta -> pNTK I, with an error of 1 / sqrt(width): 4 times the width, half the error; 20 draws leave 20 %."""
    errors = []
    for width in (64, 256, 1024):
        distances = []
        for seed in range(20):
            torch.manual_seed(seed)
            network = MLP(1, b_std=None).network(width, (2,))
            network.body[-1] = type(network.body[-1])(width, 10, 1.0, None)
            wide = nn.Sequential(*network.body)
            x = torch.randn(4, 2)
            full = empirical_ntk(wide, x, outputs="full", method="structured")
            wanted = empirical_ntk(wide, x, outputs="sum", method="structured")[..., None, None] * torch.eye(10)
            distances.append(float((full - wanted).norm() / wanted.norm()))
        errors.append(sum(distances) / len(distances))
    for narrow, wide in itertools.pairwise(errors):
        assert narrow / wide == pytest.approx(2, rel=0.2)


def test_the_choice_goes_by_cost():
    assert cheapest(MLP(1).network(64, (2,)), 50, 50, 1) == "structured"
    assert cheapest(DCGAN(1).network(4, (1, 8, 8)), 50, 50, 1) == "jacobian"
    assert cheapest(DCGAN(2).network(64, (3, 32, 32)), 4000, 4000, 10) == "products"  # 8 billion numbers otherwise


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: empirical_ntk(_small(), _points()[0], outputs="all"), "'outputs' must be"),
        (lambda: empirical_ntk(_small(), _points()[0], method="fast"), "'method' must be"),
        (lambda: empirical_ntk(nn.Flatten(0), _points()[0]), r"must give \(N,\) or \(N, O\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
