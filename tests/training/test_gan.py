"""The training step: what it does, logs and refuses."""

import itertools
import subprocess
import sys

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.cli import ReduceLROnPlateau
from tiny import Recording, TinyData, TinyDiscriminator, TinyQuality, tiny_fit, tiny_generator, tiny_trainer

from lightning_gantk import GAN, bridge
from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.losses import LSGAN
from lightning_gantk.samplers import GuidedLangevin
from lightning_gantk.training.measured import Measured


def test_step_fits_to_real_and_fake_and_scores_the_same_fakes(tmp_path):
    gan, trainer = tiny_fit(tmp_path, discriminator=Recording(), fake_batch_size=5)
    found = gan.discriminator
    assert trainer.global_step == len(found.fitted) == len(found.scored) == 3
    for (real, fake), scored in zip(found.fitted, found.scored, strict=True):
        assert (real.shape, fake.shape) == ((8, 2), (5, 2))
        assert not fake.requires_grad
        assert torch.equal(fake, scored)
    batches = list(TinyData.train_dataloader(trainer.datamodule))
    assert all(any(torch.equal(real, batch) for batch in batches) for real, _ in found.fitted)


def test_fresh_latents_score_fakes_that_the_discriminator_has_not_seen(tmp_path):
    gan, drawn = GAN(tiny_generator(), Recording(), latents="fresh", fake_batch_size=5), []
    gan.generator.register_forward_hook(lambda module, args, out: drawn.append(args[0]))
    _, trainer = tiny_fit(tmp_path, gan=gan)
    found = gan.discriminator
    assert len(torch.cat(drawn).unique(dim=0)) == 2 * 3 * 5  # none twice, in fits and scores of three steps
    assert trainer.global_step == len(found.fitted) == len(found.scored) == 3
    data = TinyData().load()[0]
    for (real, fake), scored in zip(found.fitted, found.scored, strict=True):
        assert (real.shape, fake.shape, scored.shape) == ((8, 2), (5, 2), (5, 2))
        assert (real[:, None] == data).all(2).any(1).all()
        assert not torch.equal(fake, scored)  # some samples may be equal: a ReLU network has only its bias left there
    assert {"time/fit", "time/scores", "time/generator"} <= {name for _, name in trainer.logger.logged}


def test_step_draws_as_many_fakes_as_there_are_reals_by_default(tmp_path):
    gan, _ = tiny_fit(tmp_path, discriminator=Recording(), data=TinyData(batch_size=6))
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
    gan, trainer = tiny_fit(tmp_path, trainer={"max_steps": 1, **options}, fake_batch_size=5)
    slope = float(gan.discriminator.weight.norm())  # of a linear critic under IPM: the same at every sample
    logged = trainer.logger.of("train/grad_norm")
    assert logged == {0: pytest.approx(slope, rel=1e-2 if "precision" in options else 1e-5)}


def test_statistics_are_of_the_scores_of_reals_and_fakes(tmp_path):
    gan, trainer = tiny_fit(tmp_path, discriminator=Recording(), statistics_every=1)
    real, fake = gan.discriminator.fitted[-1]
    for name, samples in (("real", real), ("fake", fake)):
        *_, last = trainer.logger.of(f"train/score_{name}").values()
        assert last == pytest.approx(float(gan.discriminator(samples.detach()).mean()), rel=1e-5)


def test_statistics_are_logged_at_the_interval(tmp_path):
    data = TinyData(size=82)
    options = {"max_steps": 20, "limit_val_batches": 0, "val_check_interval": 1000, "log_every_n_steps": 2}
    _, trainer = tiny_fit(tmp_path, data=data, statistics_every=6, trainer=options)
    logged = trainer.logger
    assert list(logged.of("train/generator_loss")) == list(range(1, 20, 2))
    assert list(logged.of("train/objective")) == [5, 11, 17]
    # After 5, 10, 15, 20 steps, or just after.
    _, trainer = tiny_fit(tmp_path, data=data, statistics_every=5, trainer=options)
    assert list(trainer.logger.of("train/score_real")) == [5, 9, 15, 19]
    _, trainer = tiny_fit(tmp_path, data=data, statistics_every=1, trainer=options)
    assert list(trainer.logger.of("train/score_fake")) == list(range(1, 20, 2))


def test_seconds_are_logged_for_each_part_of_a_step(tmp_path):
    _, trainer = tiny_fit(tmp_path)
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
    _, trainer = tiny_fit(tmp_path, listen, trainer={"max_steps": 12, "log_every_n_steps": 4})  # 5 steps to an epoch
    assert trainer.current_epoch > 1
    assert listen.heard == listen.true
    assert len({loss for loss, *_ in listen.true}) == 12
    assert trainer.logger.of("train/generator_loss") == {step: listen.true[step][0] for step in (3, 7, 11)}


def test_schedule_steps_with_the_generator(tmp_path):
    schedule = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1)  # noqa: E731
    _, trainer = tiny_fit(tmp_path, scheduler=schedule, trainer={"max_steps": 5})
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-5)


def test_plateau_schedule_steps_with_validation(tmp_path):
    schedule = lambda optimizer: ReduceLROnPlateau(optimizer, "val/kid", patience=10**6)  # noqa: E731
    gan, trainer = tiny_fit(tmp_path, scheduler=schedule, quality=TinyQuality(), trainer={"max_steps": 6})
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 3
    assert trainer.optimizers[0].param_groups[0]["initial_lr"] == 1e-3  # to which other settings are in proportion
    trainer.validate(gan, datamodule=trainer.datamodule, verbose=False)
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 3


def test_plateau_schedule_must_monitor_what_validation_gives(tmp_path):
    schedule = lambda optimizer: ReduceLROnPlateau(optimizer, "val/fd")  # noqa: E731
    with pytest.raises(ConfigError, match=r"'val/fd'.*it gives val/fid, val/kid"):
        tiny_fit(tmp_path, scheduler=schedule, quality=TinyQuality())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema_decay": 1.0}, "'ema_decay' must lie between 0 and 1, got 1.0"),
        ({"fake_batch_size": 0}, "'fake_batch_size' must be a whole number of at least 1, got 0"),
        ({"statistics_every": 0}, "'statistics_every' must be a whole number of at least 1, got 0"),
        ({"latents": "new"}, "'latents' must be 'shared' or 'fresh', got 'new'"),
    ],
)
def test_gan_refuses_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        GAN(tiny_generator(), TinyDiscriminator(), **options)


def test_gan_refuses_to_refine_samples_with_classes():
    generator = DCGANGenerator((1, 8, 8), channels=2, latent_dim=3, classes=2)
    with pytest.raises(ConfigError, match="Samples with classes are not refined"):
        GAN(generator, TinyDiscriminator(), refine=GuidedLangevin(2, 0.1))


def test_module_of_one_s_own_must_say_what_it_trains():
    class Nothing(Measured):
        sampler = described = None  # and no training step

    with pytest.raises(TypeError, match=r"abstract method '?training_step"):
        Nothing(quality=None)


def test_gan_refuses_data_of_another_shape(tmp_path):
    with pytest.raises(ConfigError, match=r"shape \(2,\) and TinyData has samples of shape \(3,\).*out_shape to \[3\]"):
        tiny_fit(tmp_path, data=TinyData((3,)))


def test_seconds_of_compilation_are_logged_since_they_were_last(tmp_path, monkeypatch):
    seconds = itertools.count(10.0, 1.5)
    monkeypatch.setattr(bridge, "compile_seconds", lambda: next(seconds))
    _, trainer = tiny_fit(tmp_path, trainer={"max_steps": 2, "log_every_n_steps": 1})
    assert list(trainer.logger.of("time/compile").values()) == [1.5, 1.5]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(4, 3), r"the batch has samples of shape \(3,\)"),
        ((torch.zeros(4, 2), 1), "a pair of samples and labels; got list"),
    ],
)
def test_gan_refuses_batches_that_do_not_fit(batch, message, tmp_path):
    batches = torch.utils.data.DataLoader([batch], batch_size=None)
    with pytest.raises(ConfigError, match=message):
        tiny_trainer(tmp_path, val_check_interval=1).fit(GAN(tiny_generator(), TinyDiscriminator()), batches)


def test_checkpoint_holds_plain_hyperparameters(tmp_path):
    tiny_fit(tmp_path, LastCheckpoint(), ema_decay=0.5, fake_batch_size=3)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["hyper_parameters"] == {
        "ema_decay": 0.5,
        "fake_batch_size": 3,
        "latents": "shared",
        "updates": "alternating",
        "statistics_every": 50,
    }


def test_import_is_free_of_jax():
    parts = "lightning_gantk.cli, lightning_gantk.architectures, lightning_gantk.discriminators, lightning_gantk.losses"
    code = f"import sys, {parts}; assert not {{'jax', 'neural_tangents', 'tensorflow'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
