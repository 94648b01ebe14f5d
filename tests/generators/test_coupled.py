"""Coupled particles and the infinitely wide generator: Gamma's exact values, and one step of either by hand."""

import math
import warnings

import numpy as np
import pytest
import torch
from tiny import TinyDiscriminator, tiny_fit
from torch import nn

from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import (
    CoupledParticles,
    MLPGenerator,
    NetworkGenerator,
    NTKGenerator,
    Particles,
    StartMap,
)
from lightning_gantk.generators.latent_kernel import LatentKernel

_BODY = MLP(1, b_std=None, W_std=math.sqrt(2))


def _two_numbers(architecture, length):
    """kappa1 and kappa0: the kernel of a latent with itself and with an orthogonal one."""
    latents = length * torch.eye(2, dtype=torch.float64)
    matrix = LatentKernel(architecture, 2)(latents, latents)
    return float(matrix[0, 0]), float(matrix[0, 1])


@pytest.mark.parametrize(
    ("layers", "kappa1", "kappa0", "g"),
    [
        (1, 4, 0.636620, 1 / (2 * math.pi)),
        (2, 6, 1.371417, 0.228570),
        (3, 8, 2.120776, 0.265097),
        (4, 10, 2.860781, 0.286078),
        (5, 12, 3.584392, 0.298699),
    ],
)
def test_coupling_of_relu_generators(layers, kappa1, kappa0, g):
    # `unit inputs`: a mean square of 1 a coordinate, sqrt(2) e_1 and sqrt(2) e_2 in two dimensions
    own, other = _two_numbers(MLP(layers, b_std=None, W_std=math.sqrt(2)), math.sqrt(2))
    assert (own, other, other / own) == pytest.approx((kappa1, kappa0, g), abs=1e-6)  # six digits are stated


def test_coupling_of_a_relu_generator_with_biases_and_of_erf():
    own, other = _two_numbers(MLP(3), math.sqrt(2))
    assert (own, other, other / own) == pytest.approx((2.75, 2.053575, 0.746755), abs=1e-6)
    assert _two_numbers(MLP(3, activation="erf", b_std=None), math.sqrt(2))[1] == pytest.approx(0, abs=1e-12)


def test_eigenvalues_of_two_numbers():
    eigenvalues = torch.linalg.eigvalsh(CoupledParticles(8, coupling=0.3).coupling.double())
    torch.testing.assert_close(eigenvalues, torch.tensor([0.7] * 7 + [3.1]).double(), rtol=0, atol=1e-6)


def test_coupling_of_an_architecture_tends_to_two_numbers():
    particles = CoupledParticles(40, coupling=_BODY, latent_dim=4000)
    matrix = particles.coupling
    assert torch.equal(matrix.diagonal(), torch.ones(40))
    beside = matrix[~torch.eye(40, dtype=torch.bool)]
    # Correlations of the latents are N(0, 1/4000); the slope of the normalised kernel at 0 is 1/2 there, as of its
    # arccosines: 5 standard deviations of the largest of 780 pairs, and the mean of all is 28 times nearer.
    assert float((beside - 1 / (2 * math.pi)).abs().max()) < 5 * 0.5 / math.sqrt(4000)
    assert torch.equal(matrix, CoupledParticles(40, coupling=_BODY, latent_dim=4000).coupling)


@pytest.mark.parametrize("per_particle", [False, True])
@pytest.mark.parametrize("batch", [3, 12, 15])
def test_a_step_mixes_the_gradients(batch, per_particle):
    n = 12
    gamma = CoupledParticles(n, coupling=_BODY, latent_dim=3).coupling
    particles = CoupledParticles(n, (2,), coupling=gamma, per_particle=per_particle)
    before = particles.samples.detach().double()
    chosen = particles.latent(batch, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(particles.parameters(), lr=0.1)
    particles(chosen).square().sum(1).mean().backward()
    optimizer.step()
    copies = torch.bincount(chosen, minlength=n)[:, None]
    gradient = 2 * before * (copies.clamp(max=1) if per_particle else copies / batch)
    # float32: a sum of up to 15 products of size 1
    torch.testing.assert_close(particles.samples.double(), before - 0.1 * gamma.double() @ gradient, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (torch.optim.Adam, "Adam moves CoupledParticles otherwise than the flow that its coupling stands for"),
        (lambda given, lr: torch.optim.SGD(given, lr, momentum=0.5), "SGD with momentum moves CoupledParticles"),
        (torch.optim.SGD, None),
    ],
    ids=["Adam", "momentum", "plain"],
)
def test_an_optimizer_that_changes_the_flow_is_warned_of_once(make, found, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gan = GAN(CoupledParticles(8), TinyDiscriminator(), optimizer=lambda given: make(given, lr=0.1))
        tiny_fit(tmp_path, gan=gan)
    said = [str(one.message) for one in told if "CoupledParticles" in str(one.message)]
    assert len(said) == (found is not None) and all(found in one and "torch.optim.SGD without" in one for one in said)


def test_no_optimizer_is_warned_of_where_there_is_no_theory(tmp_path, recwarn):
    tiny_fit(tmp_path, gan=GAN(Particles(8), TinyDiscriminator()))  # by Adam
    assert not [one for one in recwarn if "otherwise than" in str(one.message)]


def test_no_coupling_is_free_particles():
    torch.manual_seed(0)
    start = torch.randn(9, 2)
    coupled, free = CoupledParticles(9, coupling=0.0, start=start), Particles(9, start=start)
    for generator in (coupled, free):
        latent = generator.latent(4, generator=torch.Generator().manual_seed(2))
        generator(latent).sin().sum().backward()
    torch.testing.assert_close(coupled.samples.grad, free.samples.grad, rtol=0, atol=1e-6)


def test_ntk_generator_moves_its_samples_as_particles_that_its_kernel_couples():
    generator = NTKGenerator(_BODY, 12, 3, (2,), normalized=False)
    latents = generator.latents
    samples = generator(latents).detach().clone()
    gamma = LatentKernel(_BODY, 3)(latents, latents).double()
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.05)
    expected = samples.double()
    for step in range(5):
        chosen = generator.latent(8, generator=torch.Generator().manual_seed(step))
        row = (latents[:, None] == chosen).all(2).int().argmax(0)
        optimizer.zero_grad()
        generator(chosen).square().sum(1).mean().backward()
        optimizer.step()
        gradient = torch.zeros(12, 2).double().index_add_(0, row, 2 * expected[row]) / 8
        expected = expected - 0.05 * gamma @ gradient
    # float32: five steps of sums of 12 products, Gamma up to some 10
    torch.testing.assert_close(generator(latents).detach().double(), expected, rtol=1e-5, atol=2e-5)


def test_start_has_its_scale_with_more_outputs_than_latents():
    weight = StartMap(2, 4000, scale=3.0).weight  # an output has the variance of its row's length
    assert float(weight.square().sum(1).mean()) == pytest.approx(9, rel=5 * (2 / 8000) ** 0.5)


@pytest.mark.parametrize("normalized", [False, True])
def test_samples_of_new_latents_follow_their_neighbours(normalized):
    generator = NTKGenerator(_BODY, 12, 3, (2,), normalized=normalized)
    with torch.no_grad():
        generator.weights.normal_()
    with_training = generator(generator.latents)
    near = (generator.latents + 1e-6).requires_grad_(False)
    assert not torch.equal(near, generator.latents)
    torch.testing.assert_close(generator(near), with_training, rtol=1e-3, atol=1e-3)
    assert not (generator.eval().latent(5)[:, None] == generator.latents).all(2).any()
    assert (generator.train().latent(5)[:, None] == generator.latents).all(2).any(1).all()


def test_latents_to_look_at_are_new_ones_whatever_the_mode():
    generator = NTKGenerator(_BODY, 12, 3)
    looked = generator.fixed_latent(30, 0)
    assert generator.training and len(looked.unique(dim=0)) == 30
    assert not (looked[:, None] == generator.latents).all(2).any()
    assert torch.equal(looked, generator.eval().fixed_latent(30, 0))


def test_gradient_from_new_latents_is_refused():
    generator = NTKGenerator(_BODY, 12, 3)
    samples = generator(generator.eval().latent(12))
    with pytest.raises(RuntimeError, match="not trained on"):
        samples.sum().backward()


def test_normalised_kernel_has_a_mean_of_one_on_the_diagonal():
    generator = NTKGenerator(_BODY, 12, 3, normalized=True)
    assert float(generator.matrix.diagonal().mean()) == pytest.approx(1, abs=1e-6)


def test_network_generator_starts_where_the_infinite_one_does():
    network, infinite = NetworkGenerator(_BODY, 8, 3, (2,)), NTKGenerator(_BODY, 12, 3, (2,))
    latents = network.latent(4)
    assert torch.equal(network(latents), infinite(latents))
    spread = network(network.latent(4000, generator=torch.Generator().manual_seed(0))).std(0)
    torch.testing.assert_close(spread, torch.ones(2), rtol=0, atol=5 / math.sqrt(2 * 4000))  # five standard errors


def test_kernel_of_a_network_generator_tends_to_that_of_the_infinite_one():
    """One output's tangent kernel, of several widths: the error falls as 1 / sqrt(width)."""
    latents = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    wanted = LatentKernel(_BODY, 3)(latents, latents)
    errors = []
    for width in (64, 4096):
        torch.manual_seed(1)
        found = torch.zeros(12, 12)
        for output in range(2):
            network = NetworkGenerator(_BODY, width, 3, (2,))
            rows = []
            for latent in latents:
                gradients = torch.autograd.grad(network(latent[None])[0, output], list(network.parameters()))
                rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
            found += torch.stack(rows) @ torch.stack(rows).T / 2
        errors.append(float((found - wanted).norm() / wanted.norm()))
    assert errors[1] < 0.05  # entries are means over 4096 units, of variables with relative deviations near 2
    assert errors[1] < errors[0] / 2  # 8 times is expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CoupledParticles(5, coupling=1.5), r"number in \[0, 1\], a matrix or an architecture, got 1.5"),
        (lambda: CoupledParticles(5, coupling=True), "got True"),
        (lambda: CoupledParticles(5, coupling=MLP, latent_dim=3), r"got the class MLP: make one of it, MLP\(...\)"),
        (lambda: CoupledParticles(5, coupling="far"), "a matrix or an architecture, got 'far'"),
        (lambda: CoupledParticles(2, coupling=np.array([[1, 0], [0.5, 1]])), "symmetric.*transpose by up to 0.5"),
        (lambda: CoupledParticles(5, coupling=torch.eye(4)), r"matrix \(5, 5\), got \(4, 4\)"),
        (lambda: CoupledParticles(5, coupling=2 * torch.eye(5)), "ones on its diagonal"),
        (lambda: CoupledParticles(5, coupling=1.5 - 0.5 * torch.eye(5)), "positive semidefinite"),
        (lambda: CoupledParticles(5, coupling=_BODY), "'latent_dim'.*both or neither"),
        (lambda: CoupledParticles(5, coupling=0.3, latent_dim=4), "'latent_dim'.*both or neither"),
        (lambda: CoupledParticles(0), "'n' must be a whole number of at least 1"),
        (lambda: NTKGenerator(_BODY, 0, 3), "'n' must be a whole number of at least 1"),
        (lambda: NTKGenerator(0.3, 5, 3), "architecture such as MLP"),
        (lambda: NTKGenerator(MLP, 5, 3), "got the class MLP: make one of it"),
        (lambda: NetworkGenerator(MLP), "got the class MLP: make one of it"),
        (lambda: NTKGenerator(_BODY, 5, 3, initial=StartMap(3, 4))(torch.zeros(1, 3)), "'initial' gives samples.*4"),
        (lambda: NTKGenerator(_BODY, 5, 0), "'latent_dim' must be"),
        (lambda: NTKGenerator(_BODY, 5, 3, start_scale=-1.0), "'start_scale' must be a number of at least 0"),
        (lambda: NTKGenerator(_BODY, 5, 3, initial="here"), "'initial'.*torch module"),
        (lambda: NetworkGenerator(_BODY, 0), "'width' must be a whole number of at least 1"),
        (lambda: NetworkGenerator(MLPGenerator()), "'architecture' must be an architecture"),
        (lambda: NetworkGenerator(MLP(1, parameterization="standard")), "last layer is Dense, in the NTK"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_latents_that_share_their_first_coordinate_are_told_apart():
    """Float32 draws do, one pair in some 10^8: a run of 1,000 latents in a hundred."""
    generator = NTKGenerator(_BODY, 12, 3)
    generator.latents[4:7, 0] = generator.latents[4, 0].clone()
    generator(generator.latents).square().sum().backward()
    assert (generator.weights.grad != 0).any(1).all()
    chosen = torch.tensor([6, 4, 0, 5])
    row = generator._rows(
        torch.cat([generator.latents[chosen], generator.latents[4:5] + torch.tensor([0.0, 1.0, 0.0])])
    )
    assert row.tolist() == [*chosen.tolist(), -1]


@pytest.mark.parametrize("given", [np.eye(3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], torch.eye(3).double()], ids=type)
def test_coupling_is_a_matrix_of_any_kind(given):
    assert torch.equal(CoupledParticles(3, coupling=given).coupling, torch.eye(3))


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 4, 4), (2,)])
def test_start_of_an_infinite_generator_may_be_any_generator(shape):
    """Of images too, in channels-last memory or not: nothing has been learnt, so that samples are those of g_0."""
    flat = nn.Sequential(nn.Linear(3, math.prod(shape)), nn.Unflatten(1, shape))
    for initial in (NetworkGenerator(_BODY, 4, 3, shape), flat):
        generator = NTKGenerator(_BODY, 5, 3, shape, initial=initial)
        latent = generator.latent(4)
        torch.testing.assert_close(generator(latent), initial(latent), rtol=0, atol=0)
