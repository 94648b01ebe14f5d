"""Averages, samples, validation, tests and predictions of a GAN."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from tiny import TinyData, TinyDiscriminator, TinyQuality, tiny_fit, tiny_generator, tiny_trainer
from torch import nn

from lightning_gantk import GAN, LSGAN, DCGANGenerator, FiniteDiscriminator
from lightning_gantk.training import random_states
from lightning_gantk.training.evaluation import Evaluation


def test_ema_averages_the_generator_and_is_what_is_sampled(tmp_path):
    class Remember(Callback):
        def __init__(self):
            self.weights = []

        def on_train_batch_start(self, trainer, gan, *args):
            self.weights.append(gan.generator.network[0].weight.detach().clone())

        def on_train_end(self, trainer, gan):
            self.weights.append(gan.generator.network[0].weight.detach().clone())

    remember = Remember()
    gan, _ = tiny_fit(tmp_path, remember, ema_decay=0.7)
    _, first, second, third = remember.weights
    assert not torch.equal(first, second)
    average = 0.7 * (0.7 * first + 0.3 * second) + 0.3 * third  # the first step's weights begin the average
    torch.testing.assert_close(gan.sampler.network[0].weight, average)
    assert gan.sampler is not gan.generator
    latent = gan.generator.latent(3)
    torch.testing.assert_close(gan(latent), gan.sampler(latent))


def test_sample_is_made_in_evaluation_mode_and_leaves_the_mode():
    gan = GAN(tiny_generator(), TinyDiscriminator())
    modes = []
    gan.generator.register_forward_hook(lambda module, *args: modes.append(module.training))
    assert not gan.sample(gan.generator.latent(2)).requires_grad
    assert (modes, gan.generator.training) == ([False], True)


def test_validation_measures_samples_and_the_floor(tmp_path):
    gan, trainer = tiny_fit(tmp_path, quality=TinyQuality(), trainer={"max_steps": 6})
    logged = trainer.logger
    assert list(logged.of("val/fid")) == list(logged.of("val/fid_floor")) == [2, 4, 6]  # generator steps
    assert len(set(logged.of("val/fid").values())) == 3
    assert len(set(logged.of("val/fid_floor").values())) == 1
    data, quality = trainer.datamodule, TinyQuality()
    for batches, real in ((data.val_dataloader(), True), (data.reference_dataloader(), False)):
        for batch in batches:
            quality.update(batch, real=real)
    assert logged.of("val/fid_floor")[2] == pytest.approx(float(quality.compute()["fid"]))
    assert gan.quality.shape == (2,)  # built for the samples before training


def test_validation_takes_the_same_latents_each_time(tmp_path):
    generator = tiny_generator()
    seen = []
    generator.register_forward_hook(lambda module, args, out: seen.append(args[0]) if not module.training else None)
    seed_everything(0)
    tiny_fit(tmp_path, gan=GAN(generator, TinyDiscriminator(), quality=TinyQuality()), trainer={"max_steps": 4})
    assert len(seen) == 2  # one batch of 7 held-out samples, twice
    assert torch.equal(*seen)
    assert len(seen[0]) == 7


def test_validation_changes_nothing_in_training(tmp_path):
    outcomes = []
    for every, quality in ((1, TinyQuality()), (5, TinyQuality()), (5, None)):
        gan, _ = tiny_fit(tmp_path, quality=quality, trainer={"max_steps": 5, "val_check_interval": every})
        outcomes.append(([p.detach() for p in gan.parameters()], torch.rand(1)))
    for one, other in pairwise(outcomes):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_other_data_are_measured_against_themselves(tmp_path):
    class Far(TinyData):
        def load(self):
            training, held_out = super().load()
            return training + 100, held_out + 100

    gan = GAN(tiny_generator(), TinyDiscriminator(), quality=TinyQuality())
    found = [tiny_trainer(tmp_path).validate(gan, datamodule=data, verbose=False)[0] for data in (TinyData(), Far())]
    assert found[1]["val/fid"] > 1e4 > found[0]["val/fid"]
    loader = torch.utils.data.DataLoader(Far().load()[1], batch_size=7)
    (alone,) = tiny_trainer(tmp_path).validate(gan, dataloaders=loader, verbose=False)
    assert "val/fid_floor" not in alone and alone["val/fid"] == found[1]["val/fid"]


def test_generators_that_draw_in_their_forward_pass_draw_anew_for_each_batch(tmp_path):
    noises = []
    generator = tiny_generator()
    generator.register_forward_hook(lambda *args: noises.append(torch.rand(3)))
    loader = torch.utils.data.DataLoader(TinyData().load()[1], batch_size=4)
    gan = GAN(generator, TinyDiscriminator(), quality=TinyQuality())
    for _ in range(2):
        tiny_trainer(tmp_path).validate(gan, dataloaders=loader, verbose=False)
    first, second, *again = noises
    assert not torch.equal(first, second)
    assert torch.equal(torch.stack(again), torch.stack([first, second]))


@pytest.mark.parametrize("network", ["spectral norm", "dropout"])
def test_statistics_change_nothing_in_training(network, tmp_path):
    outcomes = []
    for every in (1, 1000):
        torch.manual_seed(3)
        body = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5 if network == "dropout" else 0.0), nn.Linear(8, 1))
        options = {"spectral_norm": True} if network == "spectral norm" else {}
        discriminator = FiniteDiscriminator(body, LSGAN(), time=0.1, antisymmetric=False, **options)
        gan, _ = tiny_fit(tmp_path, discriminator=discriminator, statistics_every=every, trainer={"max_steps": 8})
        outcomes.append([p.detach() for p in gan.generator.parameters()])
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


def test_floor_is_of_as_many_samples_as_were_held_out():
    class Counting(TinyQuality):
        def compute(self):
            counts.append((sum(map(len, self.real)), sum(map(len, self.fake))))
            return super().compute()

    counts, evaluation = [], Evaluation(Counting())
    evaluation.start()
    for size in (4, 3):
        evaluation.update(torch.randn(size, 2), tiny_generator())
    evaluation.finish(lambda: [torch.randn(5, 2), torch.randn(20, 2)], torch.device("cpu"))
    assert counts == [(7, 7), (7, 7)]


def test_ema_averages_the_statistics_of_batches_too(tmp_path):
    class Remember(Callback):
        def __init__(self):
            self.means = []

        def on_train_batch_end(self, trainer, gan, *args):
            self.means.append(_running_mean(gan.generator).clone())

    gan = GAN(DCGANGenerator((3, 8, 8), 3, 2), TinyDiscriminator(), ema_decay=0.7)
    tiny_fit(tmp_path, remember := Remember(), gan=gan, data=TinyData((3, 8, 8)))
    first, second, third = remember.means
    assert not torch.equal(first, second)
    average = 0.7 * (0.7 * first + 0.3 * second) + 0.3 * third
    torch.testing.assert_close(_running_mean(gan.sampler), average)


def _running_mean(generator):
    return next(module.running_mean for module in generator.modules() if isinstance(module, nn.BatchNorm2d))


def test_validation_does_nothing_without_metrics(tmp_path):
    _, trainer = tiny_fit(tmp_path)
    assert not any(name.startswith("val/") for _, name in trainer.logger.logged)


def test_sanity_check_leaves_the_metrics_alone(tmp_path):
    gan, _ = tiny_fit(tmp_path, quality=TinyQuality(), trainer={"num_sanity_val_steps": 1, "max_steps": 1})
    assert not gan.quality.has_real


def test_validation_that_was_broken_off_starts_anew(tmp_path):
    class Break(Callback):
        def __init__(self):
            self.broken = False

        def on_validation_batch_end(self, *args):
            if not self.broken:
                self.broken = True
                raise RuntimeError("broken off")

    data = TinyData(batch_size=4)  # held-out batches of 4 and 3
    whole, _ = tiny_fit(tmp_path, data=data, quality=TinyQuality())
    seed_everything(0)
    gan = GAN(tiny_generator(), TinyDiscriminator(), quality=TinyQuality())
    trainer = tiny_trainer(tmp_path, Break())
    with pytest.raises(RuntimeError, match="broken off"):
        trainer.validate(gan, datamodule=data, verbose=False)
    trainer.validate(gan, datamodule=data, verbose=False)
    assert len(torch.cat(gan.quality.real)) == 7
    torch.testing.assert_close(torch.cat(gan.quality.real), torch.cat(whole.quality.real))


def test_test_measures_against_its_own_samples_and_validation_again_against_its_own(tmp_path):
    data = TinyData()
    data.setup()
    data.test_dataset = data.train_dataset
    gan, trainer = GAN(tiny_generator(), TinyDiscriminator(), quality=TinyQuality()), tiny_trainer(tmp_path)
    before = trainer.validate(gan, datamodule=data, verbose=False)[0]
    tested = trainer.test(gan, datamodule=data, verbose=False)[0]
    assert len(torch.cat(gan.quality.real)) == len(data.train_dataset) != len(data.val_dataset)
    assert tested.keys() == {name.replace("val/", "test/") for name in before}
    assert trainer.validate(gan, datamodule=data, verbose=False)[0] == before


def test_validate_then_fit_works_on_one_model(tmp_path):
    # `validate` runs in inference mode, whose tensors `fit` could not use.
    gan = GAN(tiny_generator(), TinyDiscriminator(), quality=TinyQuality(), ema_decay=0.5)
    trainer = tiny_trainer(tmp_path)
    trainer.validate(gan, datamodule=TinyData(), verbose=False)
    trainer.fit(gan, datamodule=TinyData())
    assert list(trainer.logger.of("val/fid")) == [0, 2]


def test_predict_samples_from_latents(tmp_path):
    gan, trainer = tiny_fit(tmp_path, ema_decay=0.5)
    latents = gan.generator.latent(5)
    (samples,) = trainer.predict(gan, torch.utils.data.DataLoader(latents, batch_size=5))
    torch.testing.assert_close(samples, gan.sampler(latents))


def test_isolated_draws_move_no_generator():
    """Of torch, NumPy and Python, and of the latter two the second half of a pair of normal numbers."""
    inside = []
    for seed in (1, 2):
        seed_everything(seed)
        _draws()
        state = random_states.capture()
        wanted = _draws()
        random_states.restore(state)
        with random_states.isolated(5):
            inside.append(_draws())
        assert _draws() == wanted
    assert inside[0] == inside[1]


def _draws():
    return torch.rand(1).item(), np.random.rand(), np.random.standard_normal(), random.random(), random.gauss(0, 1)
