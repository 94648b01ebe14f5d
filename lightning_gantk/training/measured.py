"""What every module in training has in common: samples, measures of their quality, a folder, exact resumption."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from datamodules import samples as batches
from datamodules.base import DataModule
from lightning_gantk import checkpoint_files
from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.metrics.base import Quality
from lightning_gantk.processes import take_from_first
from lightning_gantk.training import first_batch, schedules
from lightning_gantk.training.evaluation import Evaluation
from lightning_gantk.training.exact_resume import ExactResume
from lightning_gantk.training.folders import run_folder
from lightning_gantk.training.other_processes import WatchOtherProcesses
from lightning_gantk.training.own_folder import OwnFolder
from lightning_gantk.training.trainer import data_of


class Measured(LightningModule, ABC):
    """A module whose samples are measured at validation, whatever it trains and how.

    One of your own sets ``generator`` and implements ``sampler``, ``described`` and ``training_step``; callbacks and
    data take it like ``GAN``.

    Args:
        quality: Metrics for validation; without them validation does nothing.

    Attributes:
        generator: Where samples come from.
    """

    generator: Generator

    def __init__(self, *, quality: Quality | None):
        super().__init__()
        if not isinstance(quality, Quality | None):
            raise ConfigError(f"'quality' must be a Quality such as SampleQuality(...), got {in_words(quality)}.")
        self.quality = quality
        self._evaluation = None if quality is None else Evaluation(quality)

    @property
    @abstractmethod
    def sampler(self) -> Generator:
        """The generator to sample from."""

    @property
    @abstractmethod
    def described(self) -> str:
        """What is trained, in a line."""

    @abstractmethod
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The loss of one step."""

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
        return [OwnFolder(), ExactResume(), WatchOtherProcesses()]

    def check_optimizer(self) -> None:
        """Makes the optimizer and its schedule once, for nothing, so that what is wrong is said before data are read.

        Raises:
            ConfigError: If they cannot be made, or not used here.
        """
        schedules.check(self.configure_optimizers())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        schedules.step(scheduler)

    def setup(self, stage: str) -> None:
        data = data_of(self.trainer)
        if isinstance(data, DataModule):
            first_batch.refuse_shape(tuple(data.sample_shape), self.generator.out_shape, type(data).__name__)
        run_folder(self.trainer)  # while all processes are here
        checkpoint_files.use_for(self.trainer)
        if self.quality is not None and stage != "predict":
            self.quality.build(self.generator.out_shape)
            self.quality.attach(data)
            if self._evaluation is not None:
                self._evaluation.forget()

    def on_validation_start(self) -> None:
        self._start_evaluation("val")

    def on_test_start(self) -> None:
        self._start_evaluation("test")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        if (evaluation := self._evaluates()) is not None:
            real, labels = batches.parted(batch)
            evaluation.update(real, self.sampler, labels)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        evaluation = self._evaluates()
        if evaluation is None:
            return
        found = self._finish(evaluation, "val")
        if self.trainer.state.fn == TrainerFn.FITTING:
            self.log("step", float(self.global_step), sync_dist=True)  # Lightning would log against one step less
            schedules.step_plateaus(self.trainer, found)

    def on_test_epoch_end(self) -> None:
        if (evaluation := self._evaluates()) is not None:
            self._finish(evaluation, "test")

    def _start_evaluation(self, split: str) -> None:
        if (evaluation := self._evaluates()) is not None:
            take_from_first(self.sampler.buffers())  # each process has averages (BatchNorm's) of its own fakes
            evaluation.start(self.global_rank, self.trainer.world_size, split)

    def _finish(self, evaluation: Evaluation, split: str) -> dict[str, Tensor]:
        data = data_of(self.trainer)
        reference = data.reference_dataloader if isinstance(data, DataModule) else lambda: None
        found = {f"{split}/{name}": value for name, value in evaluation.finish(reference, self.device).items()}
        for name, value in found.items():
            self.log(name, value, prog_bar=name == "val/fid", sync_dist=True)  # the same in every process already
        return found

    def _evaluates(self) -> Evaluation | None:
        # Lightning's sanity check passes a few batches only: statistics of real samples must not come from those.
        return None if self.trainer.sanity_checking else self._evaluation

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Samples from a batch of latents."""
        return self.refined(self.sample(batch))

    def refined(self, samples: Tensor) -> Tensor:
        """What is done to samples ``(n, *out_shape)`` of ``predict``; by default nothing."""
        return samples

    def show_reals(self, data: DataModule) -> None:
        """Has the data that ``refined`` needs read from a data module, before ``predict``; by default none."""
