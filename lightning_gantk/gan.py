"""The training step, the same for every discriminator."""

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lightning_gantk import schedules
from lightning_gantk.callbacks.exact_resume import ExactResume
from lightning_gantk.callbacks.folders import run_folder
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.divergence import Watch
from lightning_gantk.errors import ConfigError
from lightning_gantk.evaluation import Evaluation
from lightning_gantk.generators.base import Generator
from lightning_gantk.processes import gathered, own_part, processes, take_from_first
from lightning_gantk.stopwatch import Stopwatch

ADAM = {"lr": 1e-3, "betas": (0.5, 0.999)}  # the default optimizer's settings


class GAN(LightningModule):
    """Trains a generator against any discriminator.

    Each step fits the discriminator to a batch of real and fake samples, then moves the generator along the gradient
    of ``mean c(scores)`` through the fakes. Lightning's one optimizer is the generator's, so ``global_step`` counts
    generator steps, and clipping, accumulation and schedules are Lightning's.

    Several processes (``Trainer(strategy="ddp")``) take the step that one would take with the batches of all: the
    discriminator is fitted to the samples of all of them, and each moves the generator along its own fakes.

    A NaN or an infinity stops the run before it reaches the generator. Checkpoints hold all that a run needs to go on
    bit for bit (``ExactResume``).

    Logged: ``train/generator_loss``, ``train/grad_norm`` (mean over fakes x of ``|grad_x c(f(x))|``), ``time/fit``,
    ``time/scores`` (scores and their gradient at the fakes) and ``time/generator`` (the rest of the step) in seconds,
    ``train/<name>`` of the discriminator's statistics, and with ``quality`` ``val/<name>`` and ``val/<name>_floor`` of
    each metric, in a test ``test/...``.

    Args:
        generator: Makes samples from latents.
        discriminator: Finite or infinitely wide; it is built here for the generator's samples.
        optimizer: Makes the generator's optimizer from its parameters.
        scheduler: Makes a learning-rate schedule, stepped after each generator step; a ``ReduceLROnPlateau`` is stepped
            after each validation instead, on its ``monitor`` ("val/fid" where it has none).
        ema_decay: Decay of an exponential moving average of the generator, which is then what is validated and sampled.
        fake_batch_size: Fakes per step and process; as many as reals where none is given.
        latents: "shared": the generator's step scores the very fakes that the discriminator was fitted to. "fresh": it
            scores new ones, for another forward pass of the generator; of all n particles there are no others.
        quality: Metrics for validation, such as ``SampleQuality``; without them validation does nothing.
        statistics_every: Generator steps from one set of statistics to the next; each costs the scores of the real
            samples. They are taken at steps that ``Trainer(log_every_n_steps)`` logs.
        compile_generator: Compile the generator (``torch.compile``) for training. The first step then takes a minute or
            so and needs a C++ compiler; checkpoints are the same.

    Raises:
        ConfigError: If an argument is out of range, or generator, discriminator and data do not fit each other.
        TrainingDiverged: In training, at the first NaN or infinity.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        optimizer: OptimizerCallable = lambda params: torch.optim.Adam(params, **ADAM),
        scheduler: LRSchedulerCallable | None = None,
        ema_decay: float | None = None,
        fake_batch_size: int | None = None,
        latents: Literal["shared", "fresh"] = "shared",
        quality: nn.Module | None = None,
        statistics_every: int = 50,
        compile_generator: bool = False,
    ):
        super().__init__()
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise ConfigError(f"'ema_decay' must lie between 0 and 1, got {ema_decay}.")
        for name, value in (("fake_batch_size", fake_batch_size), ("statistics_every", statistics_every)):
            if value is not None and value < 1:
                raise ConfigError(f"'{name}' must be at least 1, got {value}.")
        if latents not in ("shared", "fresh"):
            raise ConfigError(f"'latents' must be 'shared' or 'fresh', got {latents!r}.")
        # The command line gives plain configuration, for load_from_checkpoint(). Elsewhere most arguments are objects,
        # which a checkpoint should not hold.
        plain = () if _given_hyperparameters.get() else ("ema_decay", "fake_batch_size", "latents", "statistics_every")
        self.save_hyperparameters(*plain)
        self.generator, self.discriminator, self.quality = generator, discriminator, quality
        self.ema = None
        if ema_decay is not None:
            self.ema = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True)
            self.ema.requires_grad_(False)
        self.fake_batch_size, self.latents, self.statistics_every = fake_batch_size, latents, statistics_every
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._evaluation = None if quality is None else Evaluation(quality)
        self._watch, self._stopwatch = None, Stopwatch()
        if compile_generator:
            generator.compile()  # in place: parameters keep their names
        discriminator.build(generator.out_shape)

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning writes this one over forty times a step, and torch's way makes that a thirtieth of a step in 2-D.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @property
    def sampler(self) -> Generator:
        """The generator to sample from: the averaged one where there is one."""
        return self.generator if self.ema is None else self.ema.module

    def forward(self, latent: Tensor) -> Tensor:
        return self.sampler(latent)

    @torch.no_grad()
    def sample(self, latent: Tensor) -> Tensor:
        """Samples ``(n, *out_shape)`` in evaluation mode, whatever mode training is in; latents on any device."""
        training, latent = self.sampler.training, latent.to(self.device)
        if latent.is_floating_point():  # else numbers of particles
            latent = latent.to(next(self.sampler.parameters(), latent).dtype)
        try:
            return self.sampler.eval()(latent)
        finally:
            self.sampler.train(training)

    def configure_callbacks(self) -> list[Callback]:
        return [ExactResume()]

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.generator.parameters())
        if self._make_scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": schedules.for_lightning(self._make_scheduler(optimizer))}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        schedules.step(scheduler)

    def setup(self, stage: str) -> None:
        shape = getattr(self.trainer.datamodule, "sample_shape", None)
        if shape is not None:
            self._refuse_unfit(tuple(shape), type(self.trainer.datamodule).__name__)
        run_folder(self.trainer)  # while all processes are here
        if self.quality is not None and stage != "predict":
            self.quality.build(self.generator.out_shape)
            getattr(self.quality, "attach", lambda data: None)(self.trainer.datamodule)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if not isinstance(batch, Tensor):
            raise ConfigError(f"A batch must be one tensor of samples, without labels; got {type(batch).__name__}.")
        self._refuse_unfit(tuple(batch.shape[1:]), "the batch")
        self._watch, clock = Watch(self, batch), self._stopwatch
        clock.restart(exact=self._watch.logged)
        with clock.measure("generator"):
            self._watch.fake = fake = self._fake(batch)
        with clock.measure("fit"), self._watch.stops():
            self.discriminator.fit(gathered(batch), gathered(fake.detach()))
        if self.latents == "fresh":
            with clock.measure("generator"):
                self._watch.fake = fake = self._fake(batch)
        fake.register_hook(self._on_gradient)
        clock.switch("scores")
        self._watch.scores = scores = self.discriminator(fake)
        self._watch.loss = loss = self.discriminator.loss.generator(scores)
        clock.switch("generator")
        self._log_loss(loss.detach())
        return loss

    def _log_loss(self, loss: Tensor) -> None:
        """``self.log`` at a tenth of its cost, which is a tenth of a step in 2-D.

        Lightning checks names and settings anew at every call. The first call in an epoch has them checked; the others
        hand Lightning the value.
        """
        entry = self.trainer._results.get("training_step.train/generator_loss")
        if entry is None or entry.has_reset:
            self.log("train/generator_loss", loss, prog_bar=True, sync_dist=True)
        else:
            entry.update(loss, 1)

    def _fake(self, batch: Tensor) -> Tensor:
        count = (self.fake_batch_size or len(batch)) * processes()
        latent = own_part(self.generator.latent(count, device=self.device))
        return self.generator(latent).to(batch.dtype)

    def on_before_backward(self, loss: Tensor) -> None:
        self._stopwatch.switch("scores")  # until their gradient has reached the fakes

    def _on_gradient(self, gradient: Tensor) -> None:
        self._watch.gradient = gradient.detach()
        self._stopwatch.switch("generator")

    def on_after_backward(self) -> None:
        self._watch.check()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.update_parameters(self.generator)

    def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:
        self._stopwatch.switch(None)
        if self._watch.logged:
            self.log("train/grad_norm", self._watch.gradient_norm())
            self.log_dict({f"time/{name}": seconds for name, seconds in self._stopwatch.seconds.items()})
        if self._watch.is_due(self.statistics_every):
            with torch.no_grad():
                scores = self.discriminator(batch), self._watch.scores.detach()
                found = self.discriminator.statistics(*map(gathered, scores))
            for logger in self.trainer.loggers:  # not self.log: Lightning would repeat them until the epoch ends
                logger.log_metrics({f"train/{name}": float(value) for name, value in found.items()}, self._watch.index)
        self._watch = None  # frees the graph

    def on_validation_start(self) -> None:
        self._start_evaluation("val")

    def on_test_start(self) -> None:
        self._start_evaluation("test")

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        if self._evaluates():
            self._evaluation.update(batch, self.sampler)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        if not self._evaluates():
            return
        found = self._finish_evaluation("val")
        if self.trainer.state.fn == TrainerFn.FITTING:
            self.log("step", float(self.global_step), sync_dist=True)  # Lightning would log against one step less
        schedules.step_plateaus(self.trainer, found)

    def on_test_epoch_end(self) -> None:
        if self._evaluates():
            self._finish_evaluation("test")

    def _start_evaluation(self, split: str) -> None:
        if self._evaluates():
            take_from_first(self.sampler.buffers())  # each process has averages (BatchNorm's) of its own fakes
            self._evaluation.start(self.global_rank, self.trainer.world_size, split)

    def _finish_evaluation(self, split: str) -> dict[str, Tensor]:
        reference = getattr(self.trainer.datamodule, "reference_dataloader", lambda: None)
        found = {f"{split}/{name}": value for name, value in self._evaluation.finish(reference, self.device).items()}
        for name, value in found.items():
            self.log(name, value, prog_bar=name == "val/fid", sync_dist=True)  # the same in every process already
        return found

    def _evaluates(self) -> bool:
        # Lightning's sanity check passes a few batches only: statistics of real samples must not come from those.
        return self._evaluation is not None and not self.trainer.sanity_checking

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Samples from a batch of latents."""
        return self.sample(batch)

    def _refuse_unfit(self, shape: tuple[int, ...], source: str) -> None:
        if shape != self.generator.out_shape:
            raise ConfigError(
                f"The generator makes samples of shape {self.generator.out_shape} and {source} has samples of shape "
                f"{shape}: set the generator's out_shape to {list(shape)}, or change the data."
            )
