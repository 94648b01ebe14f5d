"""Generators: shapes, ranges, memory layout, latents, and what they refuse."""

import numpy as np
import pytest
import torch
from torch import nn

from lightning_gantk.architectures import MLP
from lightning_gantk.architectures.activations import ACTIVATIONS
from lightning_gantk.denoisers import MLPDenoiser, UNet
from lightning_gantk.errors import ConfigError
from lightning_gantk.flows import FlowGenerator, TimedDCGAN, TimedMLP
from lightning_gantk.generators import (
    CoupledParticles,
    DCGANGenerator,
    FromModule,
    Generator,
    LatentSampler,
    MLPGenerator,
    NetworkGenerator,
    NTKGenerator,
    Particles,
)
from lightning_gantk.losses import Vanilla

IMAGES = [(1, 28, 28), (1, 32, 32), (3, 32, 32), (3, 64, 64), (1, 8, 12), (3, 40, 48)]


def _make(kind, shape, **options):
    return DCGANGenerator(shape, 5, 2, **options) if kind == "dcgan" else MLPGenerator(shape, 5, [7], **options)


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
@pytest.mark.parametrize("shape", IMAGES)
def test_images_have_the_shape_and_range_asked_for(kind, shape):
    generator = _make(kind, shape)
    images = generator(10 * generator.latent(4))
    assert images.shape == (4, *shape) == (4, *generator.out_shape)
    assert images.abs().max() <= 1
    assert images.std() > 0


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", IMAGES)
def test_images_cross_to_channels_last_with_no_copy(kind, training, shape):
    generator = _make(kind, shape).train(training)
    images = generator(generator.latent(3))
    assert images.permute(0, 2, 3, 1).is_contiguous()
    if kind == "dcgan":  # the layers work in that format: nothing is rearranged at the end
        assert generator.network(generator.latent(3)).permute(0, 2, 3, 1).is_contiguous()


def test_dcgan_starts_from_the_image_that_doubles_up_to_its_size():
    starts = {size: DCGANGenerator((1, size, size), 2, 1).network[1].unflattened_size[1:] for size in (28, 32, 64, 8)}
    assert starts == {28: (7, 7), 32: (4, 4), 64: (4, 4), 8: (2, 2)}


def test_dcgan_doubles_its_width_towards_the_latents():
    widths = [m.in_channels for m in DCGANGenerator((1, 64, 64), 2, 3).modules() if hasattr(m, "in_channels")]
    assert widths == [24, 12, 6, 3]


def test_dcgan_without_batch_norm_treats_samples_one_by_one():
    generator = DCGANGenerator((1, 8, 8), 5, 2, batch_norm=False)
    latent = generator.latent(4)
    torch.testing.assert_close(generator(latent)[:1], generator(latent[:1]))
    with_norm = DCGANGenerator((1, 8, 8), 5, 2)
    assert not torch.allclose(with_norm(latent)[:1], with_norm(latent[:2])[:1])


@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 4, 4), (2, 32, 32), (32,), (1, 32, 31)])
def test_dcgan_refuses_what_it_cannot_make_and_says_what_it_can(shape):
    with pytest.raises(ConfigError, match=r"multiples of 4.*28, 32 or 64.*MLPGenerator"):
        DCGANGenerator(shape)


def test_mlp_makes_vectors_without_a_bound():
    generator = MLPGenerator((2,), 5, [])
    assert generator(100 * generator.latent(50)).abs().max() > 1
    assert MLPGenerator((2,), 5, [], output="tanh")(100 * generator.latent(50)).abs().max() <= 1


def test_mlp_may_leave_images_unbounded():
    generator = MLPGenerator((1, 4, 4), 5, [], output="linear")
    assert generator(100 * generator.latent(50)).abs().max() > 1


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "silu", "tanh", {"name": "leaky_relu", "alpha": 0.5}])
def test_generator_knows_the_activations_of_architectures(kind, activation):
    generator = _make(kind, (1, 8, 8), activation=activation)
    assert generator(generator.latent(3)).shape == (3, 1, 8, 8)
    name = activation if isinstance(activation, str) else activation["name"]
    shown = {"silu": "SiLU", "tanh": "Tanh"}.get(name, f": {name}" if name == "relu" else name)
    assert shown.removeprefix(": ") in repr(generator)


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
def test_list_of_activations_is_a_sum_of_parallel_branches(kind):
    torch.manual_seed(0)
    both = _make(kind, (1, 8, 8), activation=["relu", "erf"])
    one = _make(kind, (1, 8, 8))
    weights = [sum(p.numel() for name, p in g.named_parameters() if "weight" in name) for g in (both, one)]
    assert weights[1] < weights[0] < 2 * weights[1] + 1
    assert both(both.latent(3)).shape == (3, 1, 8, 8)


def test_parameter_of_an_activation_has_its_effect():
    torch.manual_seed(0)
    generator = MLPGenerator((2,), 5, [7], activation={"name": "leaky_relu", "alpha": 0.5})
    latent = generator.latent(4)
    first, _, last = generator.network
    hidden = first(latent)
    torch.testing.assert_close(generator(latent), last(torch.where(hidden > 0, hidden, 0.5 * hidden)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_shape": (2, 3)}, "out_shape"),
        ({"out_shape": (0,)}, "out_shape"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"hidden": (3, 0)}, "hidden"),
        ({"activation": "rleu"}, "'activation' must be one of relu, .*got 'rleu'"),
        ({"output": "sigmoid"}, "output"),
        ({"activation": {"name": "erf", "gamma": 1}}, "no parameter 'gamma'"),
        ({"activation": []}, "'activation' must be a name"),
        ({"latent": "cauchy"}, "'latent' must be 'normal' or 'uniform', got 'cauchy'"),
    ],
)
def test_mlp_refuses_what_makes_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        MLPGenerator(**options)


_KINDS = [
    lambda shape: MLPGenerator(shape, 3, (4,)),
    lambda shape: DCGANGenerator(shape, 3, 4),
    lambda shape: FromModule(nn.Linear(3, 2), shape, 3),
    lambda shape: NetworkGenerator(MLP(1), 4, 3, shape),
    lambda shape: NTKGenerator(MLP(1), 4, 3, shape),
    lambda shape: Particles(4, shape),
    lambda shape: CoupledParticles(4, shape),
    lambda shape: FlowGenerator(TimedMLP((2,), (4,), embedding=4), Vanilla(), shape, steps=2),
    lambda shape: TimedMLP(shape, (4,), embedding=4),
    lambda shape: MLPDenoiser(shape, (4,), embedding=4),
    lambda shape: TimedDCGAN(shape),
    lambda shape: UNet(shape),
]


@pytest.mark.parametrize("make", _KINDS)
def test_shape_that_is_a_number_is_explained_by_all(make):
    with pytest.raises(ConfigError, match=r"got 16: vectors of 16 coordinates have the shape \(16,\)"):
        make(16)
    for wrong in ("16", None, (2.0,), (True,), (2, 3), torch.zeros(8)):
        with pytest.raises(ConfigError, match=r"_shape' must be \(channels, height, width\) or \(dimension,\)"):
            make(wrong)


@pytest.mark.parametrize("shape", [[2], torch.Size([2]), np.array([2]), torch.tensor([2]), (np.int64(2),)], ids=repr)
def test_shape_is_any_list_of_whole_numbers(shape):
    assert Particles(4, shape).out_shape == (2,)
    assert type(Particles(4, shape).out_shape[0]) is int


@pytest.mark.parametrize("make", _KINDS[:5])
def test_latents_of_another_shape_or_kind_are_explained(make):
    generator = make((1, 8, 8) if make is _KINDS[1] else (2,))
    for wrong in (torch.zeros(5, 2), torch.zeros(3), torch.zeros(5, 3, 1), torch.zeros(5, 3).long(), np.zeros((5, 3))):
        with pytest.raises(ConfigError, match=r"tensor \(n, 3\) of floating-point numbers, got .*: latent\(n\) of"):
            generator(wrong)


@pytest.mark.parametrize("make", _KINDS[5:7])
def test_latents_of_particles_that_are_no_numbers_of_theirs_are_explained(make):
    for wrong in (torch.zeros(5, 2).long(), torch.zeros(3), [0, 1]):
        with pytest.raises(ConfigError, match=r"their numbers, int64 \(N,\), got .*: latent\(n\) draws them"):
            make((2,))(wrong)


def test_latents_with_a_class_say_so():
    with pytest.raises(ConfigError, match=r"\(n, 7\) of floating-point numbers, 4 of them of the class, got .* \(5"):
        MLPGenerator((2,), 3, (4,), classes=4)(torch.zeros(5, 3))


@pytest.mark.parametrize("hidden", [8, "8", (3, 0), (2.0,), (True,)])
def test_hidden_layers_that_are_no_list_of_numbers_are_refused(hidden):
    for make in (MLPGenerator, TimedMLP):
        with pytest.raises(ConfigError, match="'hidden' must list positive whole numbers, got "):
            make(hidden=hidden)


@pytest.mark.parametrize(("upsampling", "flat"), [("nearest", True), ("transposed", False)])
def test_pixels_that_are_repeated_leave_no_grid_where_transposed_convolutions_do(upsampling, flat):
    generator = DCGANGenerator((1, 16, 16), 5, 2, batch_norm=False, upsampling=upsampling)
    with torch.no_grad():  # maps of one value: what varies inside is of the layers' making
        generator.network[0].weight.zero_()
        generator.network[0].bias.fill_(1)
    inside = generator(torch.randn(1, 5))[..., 3:-3, 3:-3]  # zeros around the maps reach in by three pixels
    assert (inside.std() < 1e-6) == flat


def test_dcgan_refuses_a_width_that_makes_no_sense():
    with pytest.raises(ConfigError, match="channels"):
        DCGANGenerator((1, 32, 32), channels=0)


def test_generator_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Generator(out_shape=(2,))


@pytest.mark.parametrize(("kind", "variance"), [("normal", 1), ("uniform", 1 / 3)])
def test_latent_has_mean_0_and_the_variance_of_its_distribution(kind, variance):
    n = 40_000
    latent = LatentSampler(2, kind)(n, generator=torch.Generator().manual_seed(0))
    assert latent.shape == (n, 2)
    assert latent.dtype == torch.float32
    # Five standard deviations of a mean of 2n samples, whose fourth moment is at most 3 variances squared.
    assert abs(latent.mean()) < 5 * (variance / (2 * n)) ** 0.5
    assert abs(latent.var() - variance) < 5 * (2 / (2 * n)) ** 0.5 * variance
    assert kind == "normal" or latent.abs().max() <= 1


def test_latent_of_a_generator_does_not_touch_the_global_one():
    before = torch.get_rng_state()
    sampler = LatentSampler(3)
    first, second = (sampler(2, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    sampler(2)
    assert not torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
def test_latent_of_a_cpu_generator_is_the_same_on_a_gpu():
    sampler = LatentSampler(3)
    there = sampler(2, device="cuda", generator=torch.Generator().manual_seed(7))
    assert there.is_cuda
    assert torch.equal(there.cpu(), sampler(2, generator=torch.Generator().manual_seed(7)))
