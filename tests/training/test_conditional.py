"""Samples with classes: the product kernel, the label input, generators, and whole runs."""

import math

import pytest
import torch
from tiny import TinyDiscriminator, tiny_generator, tiny_trainer
from torch.utils.data import DataLoader, TensorDataset

from datamodules.base import DataModule
from datamodules.labels import Labelled
from datamodules.loader import collate
from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import (
    FiniteDiscriminator,
    MomentEmbedding,
    NTKDiscriminator,
    PrivateMeanEmbedding,
)
from lightning_gantk.discriminators.conditional import LabelInput, conditional
from lightning_gantk.discriminators.labels import joined, parted
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import DCGANGenerator, MLPGenerator, Particles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Vanilla
from lightning_gantk.metrics import EnergyDistance

_LABELS = torch.tensor([0, 1, 1, 2, 0, 1, 2, 2, 1])


def _points(seed):
    return torch.randn(len(_LABELS), 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _product(x, y):
    """k(x, x') [l = l'] on points whose last coordinate is the class."""
    import jax.numpy as jnp

    squares = jnp.sum((x[:, None, :-1] - y[None, :, :-1]) ** 2, -1)
    return jnp.exp(-0.5 * squares / 2) * (x[:, None, -1] == y[None, :, -1])


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), pytest.param(Vanilla(), marks=pytest.mark.slow)], ids=repr)
def test_classes_apart_are_the_flow_of_the_product_kernel(loss):
    settings = {"loss": loss, "time": 2.0, "dtype": "float64"}
    ours = conditional(NTKDiscriminator(RBF(gamma=0.5), **settings), 3)
    whole = NTKDiscriminator(_product, **settings)  # one Gram matrix of all points
    real, fake, others = (joined(_points(seed), _LABELS) for seed in range(3))
    found = []
    for discriminator in (ours, whole):
        discriminator.fit(real, fake)
        x = others.clone().requires_grad_()
        scores = discriminator(x)
        (gradient,) = torch.autograd.grad(discriminator.loss.generator(scores), x)
        found.append((scores.detach(), gradient[:, :-1]))
    # float64, each flow solved to rtol 1e-9 in steps; other steps are taken for a class than for all
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-7)
    assert found[0][0].abs().max() > 1e-3
    torch.testing.assert_close(ours.gram(real), whole.gram(real), rtol=1e-12, atol=1e-12)


def test_product_kernel_tells_of_classes_that_are_in_one_batch_alone():
    ours = conditional(NTKDiscriminator(RBF(gamma=0.5), IPM()), 3)
    with pytest.raises(ConfigError, match=r"classes \[0, 1, 2\] and fakes of \[0\]"):
        ours.fit(joined(_points(0), _LABELS), joined(_points(1), torch.zeros_like(_LABELS)))


def test_label_input_is_the_network_with_the_class_as_coordinates():
    inner = FiniteDiscriminator(MLP(hidden_layers=1), IPM(), width=8)
    ours = conditional(inner, 3)
    assert isinstance(ours, LabelInput)
    real, fake = (joined(_points(seed).float(), _LABELS) for seed in range(2))
    ours.build((3,))
    ours.fit(real, fake)
    spread = torch.cat([_points(1).float(), torch.nn.functional.one_hot(_LABELS, 3).float()], 1)
    torch.testing.assert_close(ours(fake), inner(spread), rtol=0, atol=0)
    assert (ours(joined(_points(1).float(), (_LABELS + 1) % 3)) != ours(fake)).any()


@pytest.mark.parametrize("shape", [(2,), (3, 8, 8)])
def test_label_comes_back_from_the_sample_that_carries_it(shape):
    samples = torch.randn(len(_LABELS), *shape)
    back, labels = parted(joined(samples, _LABELS))
    torch.testing.assert_close(back, samples, rtol=0, atol=0)
    assert labels.tolist() == _LABELS.tolist()


@pytest.mark.parametrize(
    "make",
    [
        lambda classes: DCGANGenerator((1, 8, 8), 3, 2, classes=classes),
        lambda classes: MLPGenerator((2,), 3, (4,), classes=classes),
        lambda classes: Particles(30, (2,), classes=classes),
    ],
    ids=["DCGANGenerator", "MLPGenerator", "Particles"],
)
def test_generator_makes_samples_of_given_classes(make):
    generator = make(3)
    latent = generator.latent_of(_LABELS, generator=torch.Generator().manual_seed(0))
    assert generator.labels(latent).tolist() == _LABELS.tolist()
    assert generator.eval()(latent).shape == (len(_LABELS), *generator.out_shape)
    # A network takes the classes in turn; 24 of 30 particles leave none of the three tens out, whatever is drawn.
    drawn = generator.latent(24, generator=torch.Generator().manual_seed(0))
    assert set(generator.labels(drawn).tolist()) == {0, 1, 2}
    with pytest.raises(ConfigError, match=r"between 0 and 2, got 1 to 3.*'classes'"):
        generator.latent_of(_LABELS + 1)
    with pytest.raises(ConfigError, match="'classes' must be a whole number of at least 2"):
        make(1)
    assert make(None).latent(4).shape[1:] == (torch.Size([]) if isinstance(generator, Particles) else (3,))


def _loader(samples, labels=None):
    whole = samples if labels is None else TensorDataset(samples, labels)
    return DataLoader(whole, batch_size=len(samples))


def test_run_moves_each_class_towards_its_own_reals(tmp_path):
    labels = torch.arange(40) % 2
    real = torch.where(labels[:, None] == 0, -2.0, 2.0).expand(-1, 2).contiguous()
    generator = Particles(40, (2,), start="normal", noise=0.1, classes=2, per_particle=True)
    discriminator = NTKDiscriminator(RBF(gamma=0.2), IPM(), time=4.0)  # half of the masses is a class's
    gan = GAN(generator, discriminator, optimizer=lambda p: torch.optim.SGD(p, lr=1.0))
    tiny_trainer(tmp_path, max_steps=60, limit_val_batches=0).fit(gan, _loader(real, labels))
    for number, centre in ((0, -2.0), (1, 2.0)):
        assert (generator.samples[number::2].detach() - centre).abs().mean() < 0.3


class _TwoClasses(DataModule):
    """Class 0 is at -2, class 1 at 2."""

    sample_shape = (2,)

    def load(self):
        self.train_labels = self.val_labels = torch.arange(40) % 2
        samples = torch.where(self.train_labels[:, None] == 0, -2.0, 2.0) + 0.1 * torch.randn(40, 2)
        return samples, samples


def _after(steps, discriminator, rate, tmp_path):
    torch.manual_seed(0)
    generator = Particles(40, (2,), start="normal", noise=0.1, classes=2, per_particle=True)
    gan = GAN(generator, discriminator, optimizer=lambda p: torch.optim.SGD(p, lr=rate))
    tiny_trainer(tmp_path, max_steps=steps, limit_val_batches=0).fit(gan, _TwoClasses(batch_size=40, labels=True))
    return gan


def test_embedding_of_all_reals_has_a_row_for_each_class(tmp_path):
    gan = _after(30, PrivateMeanEmbedding(MLP(1), math.inf, 1e-5, width=32), 3.0, tmp_path)
    for number, sign in ((0, -1), (1, 1)):
        assert (sign * gan.generator.samples[number::2].detach().mean()) > 0.5  # from 0


def test_discriminator_that_takes_the_class_as_an_input_sees_it_with_all_reals_too(tmp_path):
    gan = _after(1, MomentEmbedding(MLP(1), width=32, components=8), 0.1, tmp_path)
    assert int(gan.discriminator.inner.seen) == 40


@pytest.mark.parametrize(
    ("labels", "classes", "says"),
    [
        (None, 2, "batches have no labels"),
        (torch.zeros(8, dtype=torch.long), None, "pairs, of samples and labels.*set its 'classes'"),
        (torch.zeros(8), 2, "whole numbers"),
        (torch.full((8,), 5), 2, "between 0 and 1, got 5 to 5"),
    ],
)
def test_labels_and_classes_that_do_not_fit_are_refused(labels, classes, says, tmp_path):
    gan = GAN(MLPGenerator((2,), 3, (4,), classes=classes), TinyDiscriminator())
    with pytest.raises(ConfigError, match=says):
        tiny_trainer(tmp_path, limit_val_batches=0).fit(gan, _loader(torch.randn(8, 2), labels))


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (torch.zeros(8, 1, 8, 8, dtype=torch.uint8), r"uint8: give x.float\(\) / 127.5 - 1"),
        (torch.full((8, 1, 8, 8), 255.0), r"\[-1, 1\].*255.*x / 127.5 - 1"),
        (torch.full((8, 1, 8, 8), float("nan")), "512 values that are NaN or infinite"),
        (torch.zeros(8, 8, 8, 1), r"\(N, H, W, C\).*permute\(0, 3, 1, 2\)"),
        (torch.zeros(8, 1, 8, 8, dtype=torch.long), r"int64: give x.float\(\)"),
    ],
)
def test_samples_that_no_generator_makes_are_refused(samples, says, tmp_path):
    gan = GAN(DCGANGenerator((1, 8, 8), 3, 2), TinyDiscriminator())
    with pytest.raises(ConfigError, match=says):
        tiny_trainer(tmp_path, limit_val_batches=0).fit(gan, _loader(samples))


def test_plain_module_as_generator_is_told_what_to_be_wrapped_in():
    with pytest.raises(ConfigError, match=r"got Sequential\(\): wrap.*FromModule\(module, out_shape"):
        GAN(torch.nn.Sequential(), TinyDiscriminator())


@pytest.mark.parametrize("wrong", [TinyDiscriminator, torch.nn.Sequential(), None], ids=repr)
def test_what_is_no_discriminator_is_told_what_makes_one(wrong):
    with pytest.raises(ConfigError, match=r"'discriminator' must be.*got .*FiniteDiscriminator\(network, loss\)"):
        GAN(tiny_generator(), wrong)


@pytest.mark.parametrize("wrong", [EnergyDistance, "fid"], ids=str)
def test_what_is_no_quality_is_refused(wrong):
    with pytest.raises(ConfigError, match="'quality' must be a Quality"):
        GAN(tiny_generator(), TinyDiscriminator(), quality=wrong)


@pytest.mark.parametrize("samples", [torch.randn(10, 2), [torch.ones(2) * k for k in range(10)]])
def test_labelled_set_gives_pairs_one_by_one_and_in_batches(samples):
    labels = torch.arange(10)
    loader = DataLoader(Labelled(samples, labels), batch_size=5, collate_fn=collate)
    first, second = loader
    assert first[1].tolist() + second[1].tolist() == labels.tolist()
    torch.testing.assert_close(torch.cat([first[0], second[0]]), torch.stack(list(samples)))
