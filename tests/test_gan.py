"""The training step: what it does, logs, validates, refuses, and what it does when numbers fail."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.cli import ReduceLROnPlateau
from tiny import TinyData, TinyDiscriminator, TinyQuality, tiny_generator, tiny_trainer
from torch import nn

from lightning_gantk import GAN
from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.losses import LSGAN


def _fit(tmp_path, *callbacks, seed=0, data=None, ckpt_path=None, trainer=None, **options):
    seed_everything(seed)
    discriminator = options.pop("discriminator", TinyDiscriminator())
    gan = options.pop("gan", None) or GAN(tiny_generator(), discriminator, **options)
    trainer = tiny_trainer(tmp_path, *callbacks, **(trainer or {}))
    trainer.fit(gan, datamodule=data or TinyData(), ckpt_path=ckpt_path)
    return gan, trainer


class Recording(TinyDiscriminator):
    """Remembers what it was given."""

    def __init__(self, loss=None):
        super().__init__(loss)
        self.own = nn.Parameter(torch.ones(2), requires_grad=False)

    def build(self, in_shape):
        super().build(in_shape)
        self.fitted, self.scored = [], []

    def fit(self, real, fake):
        super().fit(real, fake)
        self.fitted.append((real, fake))

    def forward(self, x):
        if torch.is_grad_enabled():
            self.scored.append(x)
        return super().forward(x)


def test_step_fits_to_real_and_fake_and_scores_the_same_fakes(tmp_path):
    gan, trainer = _fit(tmp_path, discriminator=Recording(), fake_batch_size=5)
    found = gan.discriminator
    assert trainer.global_step == len(found.fitted) == len(found.scored) == 3
    for (real, fake), scored in zip(found.fitted, found.scored, strict=True):
        assert (real.shape, fake.shape) == ((8, 2), (5, 2))
        assert not fake.requires_grad
        assert torch.equal(fake, scored)
    batches = list(TinyData.train_dataloader(trainer.datamodule))
    assert all(any(torch.equal(real, batch) for batch in batches) for real, _ in found.fitted)


def test_fresh_latents_score_fakes_that_the_discriminator_has_not_seen(tmp_path):
    gan, trainer = _fit(tmp_path, discriminator=Recording(), latents="fresh")
    found = gan.discriminator
    assert trainer.global_step == len(found.fitted) == len(found.scored) == 3
    for (_, fake), scored in zip(found.fitted, found.scored, strict=True):
        assert fake.shape == scored.shape
        assert not torch.cdist(fake, scored).eq(0).any()
    assert {"time/fit", "time/scores", "time/generator"} <= {name for _, name in trainer.logger.logged}


def test_step_draws_as_many_fakes_as_there_are_reals_by_default(tmp_path):
    gan, _ = _fit(tmp_path, discriminator=Recording(), data=TinyData(batch_size=6))
    assert all(len(real) == len(fake) == 6 for real, fake in gan.discriminator.fitted)


def test_step_is_one_gradient_step_on_the_generators_loss(tmp_path):
    seed_everything(0)
    gan = GAN(tiny_generator(), Recording(LSGAN()), optimizer=lambda params: torch.optim.SGD(params, lr=0.1))
    before = [parameter.detach().clone() for parameter in gan.generator.parameters()]
    trainer = tiny_trainer(tmp_path, max_steps=1)
    trainer.fit(gan, datamodule=TinyData())
    (scored,) = gan.discriminator.scored
    assert trainer.logger.of("train/generator_loss") == {
        0: pytest.approx(float((gan.discriminator(scored.detach()) ** 2).mean()), rel=1e-6)
    }
    moved = [(b - p.detach()) / 0.1 for b, p in zip(before, gan.generator.parameters(), strict=True)]
    torch.testing.assert_close(moved, [p.grad for p in gan.generator.parameters()], rtol=1e-3, atol=1e-6)
    assert trainer.optimizers[0].param_groups[0]["params"] == list(gan.generator.parameters())


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}])
def test_grad_norm_is_the_slope_of_the_scores(options, tmp_path):
    gan, trainer = _fit(tmp_path, trainer={"max_steps": 1, **options}, fake_batch_size=5)
    slope = float(gan.discriminator.weight.norm())  # of a linear critic under IPM: the same at every sample
    logged = trainer.logger.of("train/grad_norm")
    assert logged == {0: pytest.approx(slope, rel=1e-2 if "precision" in options else 1e-5)}


def test_statistics_are_logged_at_the_interval(tmp_path):
    data = TinyData(size=82)
    options = {"max_steps": 20, "limit_val_batches": 0, "val_check_interval": 1000, "log_every_n_steps": 2}
    _, trainer = _fit(tmp_path, data=data, statistics_every=6, trainer=options)
    logged = trainer.logger
    assert list(logged.of("train/generator_loss")) == list(range(1, 20, 2))
    assert list(logged.of("train/objective")) == [5, 11, 17]
    _, trainer = _fit(tmp_path, data=data, statistics_every=5, trainer=options)  # 5, 10, 15, 20 steps, or just after
    assert list(trainer.logger.of("train/score_real")) == [5, 9, 15, 19]
    _, trainer = _fit(tmp_path, data=data, statistics_every=1, trainer=options)
    assert list(trainer.logger.of("train/score_fake")) == list(range(1, 20, 2))


def test_seconds_are_logged_for_each_part_of_a_step(tmp_path):
    _, trainer = _fit(tmp_path)
    for part in ("fit", "scores", "generator"):
        seconds = trainer.logger.of(f"time/{part}")
        assert len(seconds) == 3
        assert all(0 < value < 10 for value in seconds.values())


def test_callbacks_see_the_loss_of_each_step_whatever_loggers_see(tmp_path):
    class Listen(Callback):
        def __init__(self):
            self.heard, self.true = [], []

        def on_train_batch_end(self, trainer, gan, outputs, batch, batch_idx):
            seen = trainer.callback_metrics, trainer.logged_metrics, trainer.progress_bar_metrics
            self.heard.append([float(metrics["train/generator_loss"]) for metrics in seen])
            self.true.append([float(outputs["loss"])] * 3)

    listen = Listen()
    _, trainer = _fit(tmp_path, listen, trainer={"max_steps": 12, "log_every_n_steps": 4})  # 5 steps to an epoch
    assert trainer.current_epoch > 1
    assert listen.heard == listen.true
    assert len({loss for loss, *_ in listen.true}) == 12
    assert trainer.logger.of("train/generator_loss") == {step: listen.true[step][0] for step in (3, 7, 11)}


def test_ema_averages_the_generator_and_is_what_is_sampled(tmp_path):
    class Remember(Callback):
        def __init__(self):
            self.weights = []

        def on_train_batch_start(self, trainer, gan, *args):
            self.weights.append(gan.generator.network[0].weight.detach().clone())

        def on_train_end(self, trainer, gan):
            self.weights.append(gan.generator.network[0].weight.detach().clone())

    remember = Remember()
    gan, _ = _fit(tmp_path, remember, ema_decay=0.7)
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
    gan, trainer = _fit(tmp_path, quality=TinyQuality(), trainer={"max_steps": 6})
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
    _fit(tmp_path, gan=GAN(generator, TinyDiscriminator(), quality=TinyQuality()), trainer={"max_steps": 4})
    assert len(seen) == 2  # one batch of 7 held-out samples, twice
    assert torch.equal(*seen)
    assert len(seen[0]) == 7


def test_validation_changes_nothing_in_training(tmp_path):
    outcomes = []
    for every, quality in ((1, TinyQuality()), (5, TinyQuality()), (5, None)):
        gan, _ = _fit(tmp_path, quality=quality, trainer={"max_steps": 5, "val_check_interval": every})
        outcomes.append(([p.detach() for p in gan.parameters()], torch.rand(1)))
    for one, other in pairwise(outcomes):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_validation_does_nothing_without_metrics(tmp_path):
    _, trainer = _fit(tmp_path)
    assert not any(name.startswith("val/") for _, name in trainer.logger.logged)


def test_sanity_check_leaves_the_metrics_alone(tmp_path):
    gan, _ = _fit(tmp_path, quality=TinyQuality(), trainer={"num_sanity_val_steps": 1, "max_steps": 1})
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
    whole, _ = _fit(tmp_path, data=data, quality=TinyQuality())
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


def test_schedule_steps_with_the_generator(tmp_path):
    schedule = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1)  # noqa: E731
    _, trainer = _fit(tmp_path, scheduler=schedule, trainer={"max_steps": 5})
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-5)


def test_plateau_schedule_steps_with_validation(tmp_path):
    schedule = lambda optimizer: ReduceLROnPlateau(optimizer, "val/kid", patience=10**6)  # noqa: E731
    _, trainer = _fit(tmp_path, scheduler=schedule, quality=TinyQuality(), trainer={"max_steps": 6})
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 3


def test_plateau_schedule_must_monitor_what_validation_gives(tmp_path):
    schedule = lambda optimizer: ReduceLROnPlateau(optimizer, "val/fd")  # noqa: E731
    with pytest.raises(ConfigError, match=r"'val/fd'.*it gives val/fid, val/kid"):
        _fit(tmp_path, scheduler=schedule, quality=TinyQuality())


def test_predict_samples_from_latents(tmp_path):
    gan, trainer = _fit(tmp_path, ema_decay=0.5)
    latents = gan.generator.latent(5)
    (samples,) = trainer.predict(gan, torch.utils.data.DataLoader(latents, batch_size=5))
    torch.testing.assert_close(samples, gan.sampler(latents))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema_decay": 1.0}, "'ema_decay' must lie between 0 and 1, got 1.0"),
        ({"fake_batch_size": 0}, "'fake_batch_size' must be at least 1, got 0"),
        ({"statistics_every": 0}, "'statistics_every' must be at least 1, got 0"),
        ({"latents": "new"}, "'latents' must be 'shared' or 'fresh', got 'new'"),
    ],
)
def test_gan_refuses_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        GAN(tiny_generator(), TinyDiscriminator(), **options)


def test_gan_refuses_data_of_another_shape(tmp_path):
    with pytest.raises(ConfigError, match=r"shape \(2,\) and TinyData has samples of shape \(3,\).*out_shape to \[3\]"):
        _fit(tmp_path, data=TinyData((3,)))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(4, 3), r"the batch has samples of shape \(3,\)"),
        ((torch.zeros(4, 2), 1), "without labels; got list"),
    ],
)
def test_gan_refuses_batches_that_do_not_fit(batch, message, tmp_path):
    batches = torch.utils.data.DataLoader([batch], batch_size=None)
    with pytest.raises(ConfigError, match=message):
        tiny_trainer(tmp_path, val_check_interval=1).fit(GAN(tiny_generator(), TinyDiscriminator()), batches)


def test_checkpoint_holds_plain_hyperparameters(tmp_path):
    _fit(tmp_path, LastCheckpoint(), ema_decay=0.5, fake_batch_size=3)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["hyper_parameters"] == {
        "ema_decay": 0.5,
        "fake_batch_size": 3,
        "latents": "shared",
        "statistics_every": 50,
    }


class Poisoned(Recording):
    """Goes wrong in the third step."""

    def __init__(self, where):
        super().__init__()
        self.where, self.steps = where, 0

    def fit(self, real, fake):
        super().fit(real, fake)
        self.steps += 1
        if self.steps == 3:
            if self.where == "parameter":
                self.own[1] = float("inf")
                self.weight = self.weight * self.own
            if self.where == "itself":
                raise TrainingDiverged("the solver gave up")

    def forward(self, x):
        scores = super().forward(x)
        if self.steps == 3 and self.where == "scores":
            scores = scores + torch.tensor([0.0, float("inf")] + [0.0] * (len(x) - 2))
        if self.steps == 3 and self.where == "gradient":
            scores = scores + (x - x.detach()).abs().sqrt().sum(1)  # 0, with an infinite slope
        return scores


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("scores", "the scores of the fake samples: 1 of 8 values are NaN or infinite"),
        ("gradient", "the gradient at the fake samples: 16 of 16 values"),
        ("parameter", "the discriminator's parameter 'own': 1 of 2 values"),
        ("itself", "the solver gave up"),
    ],
)
def test_divergence_names_the_step_and_the_tensor_and_leaves_a_checkpoint(where, message, tmp_path):
    steps = {"max_steps": 2}
    good, _ = _fit(tmp_path / "good", trainer=steps)
    discriminator = Poisoned(where)
    with pytest.raises(TrainingDiverged, match=f"generator step 3: .*{message}") as caught:
        _fit(tmp_path, discriminator=discriminator, trainer={"max_steps": 5})
    path = tmp_path / "checkpoints" / "diverged.ckpt"
    assert str(path) in str(caught.value)
    saved = torch.load(path, weights_only=True)
    for name, parameter in good.generator.named_parameters():  # as it was before the step
        assert torch.equal(saved["state_dict"][f"generator.{name}"], parameter)
    assert saved["global_step"] == 2


def test_divergence_can_be_resumed_with_the_next_batch(tmp_path):
    with pytest.raises(TrainingDiverged):
        _fit(tmp_path, discriminator=Poisoned("scores"))
    path = tmp_path / "checkpoints" / "diverged.ckpt"
    gan, trainer = _fit(tmp_path, discriminator=Recording(), ckpt_path=path, trainer={"max_steps": 4})
    assert trainer.global_step == 4
    whole, _ = _fit(tmp_path, discriminator=Recording(), trainer={"max_steps": 5})
    expected = [real for real, _ in whole.discriminator.fitted][3:]
    assert len(gan.discriminator.fitted) == len(expected) == 2
    for (real, _), other in zip(gan.discriminator.fitted, expected, strict=True):
        assert torch.equal(real, other)


def test_divergence_by_real_samples_is_laid_to_them(tmp_path):
    data = TinyData()
    data.setup()
    data.train_dataset[:, 1] = float("nan")
    with pytest.raises(TrainingDiverged, match="generator step 1: the batch of real samples: 8 of 16 values"):
        _fit(tmp_path, data=data)


def test_divergence_of_the_generator_names_its_parameter(tmp_path):
    gan = GAN(tiny_generator(), TinyDiscriminator())
    with torch.no_grad():
        gan.generator.network[2].bias[0] = float("nan")
    with pytest.raises(TrainingDiverged, match=r"step 1: the generator's parameter 'network\.2\.bias': 1 of 2"):
        _fit(tmp_path, gan=gan)


def test_divergence_is_not_a_matter_of_size(tmp_path):
    # Squares of these overflow in float32; the numbers do not.
    gan, trainer = _fit(tmp_path, discriminator=TinyDiscriminator(time=1e25), trainer={"max_steps": 2})
    assert trainer.global_step == 2
    assert all(parameter.isfinite().all() for parameter in gan.parameters())


def test_import_is_free_of_jax():
    code = "import sys, lightning_gantk.cli; assert not {'jax', 'neural_tangents', 'tensorflow'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
