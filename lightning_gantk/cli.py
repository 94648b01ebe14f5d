"""The command line: what ``train.py`` runs."""

import argparse
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from torch.utils.data import DataLoader

from datamodules.base import DataModule
from lightning_gantk import callbacks, runs
from lightning_gantk.cli_messages import explain, quieten
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.gan import ADAM, GAN

_TRAINER = {
    "accelerator": "auto",
    "devices": 1,
    "default_root_dir": "runs",
    "log_every_n_steps": 10,
    "check_val_every_n_epoch": None,  # a GAN counts generator steps, not epochs
    "val_check_interval": 100,
    "num_sanity_val_steps": 0,  # the validation before the first step does more
    "use_distributed_sampler": False,  # the loaders of `datamodules` share the data out themselves
    "enable_model_summary": False,
}


class GANCommand(LightningCLI):
    """Lightning's command line for ``GAN``: its callbacks, a folder for each run, errors in one line.

    A run's folder is ``<trainer.default_root_dir>/<name>/version_<k>``; resumed from its ``last.ckpt`` it stays there.

    Args:
        args: Words of the command line; those that python was called with where none are given.
    """

    def __init__(self, args: list[str] | None = None):
        super().__init__(
            GAN,
            DataModule,
            subclass_mode_data=True,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"overwrite": True},
            trainer_defaults=_TRAINER,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=sys.argv[1:] if args is None else list(args),
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        known = LightningCLI.subcommands()
        return {name: known[name] for name in ("fit", "validate", "test", "predict")}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        return super().init_parser(exit_on_error=False, allow_abbrev=False, **kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, default=None, help="Of the run; else that of its configs.")
        parser.set_defaults({"model.optimizer": {"class_path": "torch.optim.Adam", "init_args": ADAM}})
        for key in ("SampleGrid", "BestCheckpoint", "LastCheckpoint", "SavePredictions"):
            parser.add_class_arguments(getattr(callbacks, key), _snake(key))

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str]) -> None:
        args = runs.with_config_of_checkpoint(args)
        with self._explained(args[0] if args else ""):
            self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        command = self.config.subcommand
        options = self.config[command]
        options.name = options.name or runs.name_of(options.config or [])
        checkpoint = runs.find_checkpoint(options.ckpt_path, options.trainer.default_root_dir, options.name)
        if checkpoint is None:
            if command == "predict":
                raise ConfigError("predict needs a trained generator: give --ckpt_path, a file or 'last' or 'best'.")
            return
        options.ckpt_path = str(checkpoint)
        before = options.model.clone()
        try:
            with self._explained(command):
                super()._parse_ckpt_path()  # takes the model's settings from the checkpoint
        except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            raise ConfigError(f"{checkpoint} cannot be read as a checkpoint: {error}") from error
        if self.config[command].model != before:
            print(f"The model is set up as in {checkpoint}, which differs from the settings given.")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        options = self.config_init[self.subcommand]
        if self.subcommand != "fit":
            self.save_config_callback = None
            kwargs["logger"] = options.trainer.logger or False
        elif options.trainer.logger is None or options.trainer.logger is True:
            kwargs["logger"] = runs.logger(options.trainer.default_root_dir, options.name, options.ckpt_path)
        given = options.trainer.callbacks or []
        given = given if isinstance(given, list) else [given]
        try:
            return super().instantiate_trainer(callbacks=[*given, *self._callbacks(options, given)], **kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from error

    def _callbacks(self, options: Any, given: list[Callback]) -> Iterator[Callback]:
        trainer = options.trainer
        if trainer.enable_progress_bar is not False and not any(isinstance(one, ProgressBar) for one in given):
            yield callbacks.StepProgressBar()
        if self.subcommand == "fit":
            metric = options.best_checkpoint.monitor
            yield from (options.sample_grid, callbacks.RunSummary(metric))
            yield callbacks.LogHyperparameters({"seed": options.seed_everything}, metric)
        if self.subcommand == "predict":
            yield options.save_predictions
        if trainer.enable_checkpointing is not False:  # checkpoints after everything else, the one that stops last
            if self.subcommand == "fit":
                yield from [options.best_checkpoint] if self.model.quality is not None else []
                yield options.last_checkpoint
            yield callbacks.StopOnSignal()

    def fit(self, model: GAN, **kwargs: Any) -> None:
        """Validates the untrained generator, so that its FID is known, and trains."""
        new = kwargs.get("ckpt_path") is None
        try:
            if new and model.quality is not None and self.trainer.limit_val_batches and not self.trainer.fast_dev_run:
                self.trainer.validate(model, datamodule=self.datamodule, verbose=False)
            self.trainer.fit(model, **kwargs)
        except ConfigError:
            if new and self.trainer.is_global_zero:
                runs.discard_unused(self.trainer.log_dir)
            raise

    def validate(self, model: GAN, **kwargs: Any) -> None:
        _has_something_to_measure(model, "validate")
        self.trainer.validate(model, **kwargs)

    def test(self, model: GAN, **kwargs: Any) -> None:
        """Measures on the samples held out for the end, where the data have such; else on those of validation."""
        _has_something_to_measure(model, "test")
        self.trainer.test(model, **kwargs)

    def predict(self, model: GAN, ckpt_path: str, **kwargs: Any) -> None:
        """Samples from the generator in a checkpoint; no data are read."""
        options = self.config_init.predict.save_predictions
        generator = torch.Generator().manual_seed(options.seed)
        latents = DataLoader(model.generator.latent(options.num_samples, generator=generator), batch_size=256)
        self.trainer.predict(model, dataloaders=latents, ckpt_path=ckpt_path, return_predictions=False)

    @contextmanager
    def _explained(self, command: str) -> Iterator[None]:
        try:
            yield
        except argparse.ArgumentError as error:
            parser = self._subcommand_parsers.get(command, self.parser)
            raise ConfigError(explain(str(error), parser, command)) from error


class SaveRunConfig(SaveConfigCallback):
    """Keeps the configuration in the run's folder, in a form that starts the run anew."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.config = self.config.clone()
        self.config.ckpt_path = None
        super().setup(trainer, pl_module, stage)


def main(args: list[str] | None = None) -> GANCommand:
    """Runs one command and returns it, with what it made: ``trainer``, ``model``, ``datamodule``.

    Raises:
        SystemExit: With one line on standard error. Code 2: something that was asked for cannot be done; 1: training
            diverged; 143 or 130: stopped by SIGTERM or Ctrl-C.
    """
    quieten()
    try:
        return GANCommand(args)
    except (ConfigError, MisconfigurationException) as error:
        _leave(error, 2)
    except TrainingDiverged as error:
        _leave(error, 1)
    except (TypeError, ValueError) as error:  # jsonargparse wraps an error in an argument that may be of several types
        causes = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        for cause in causes:
            if isinstance(cause, ConfigError):
                _leave(cause, 2)
        raise
    except RuntimeError as error:
        if "Error(s) in loading state_dict" not in str(error):
            raise
        _leave(f"the checkpoint holds another model: {error}", 2)


def _leave(message: object, code: int) -> NoReturn:
    print("train.py:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(code)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _has_something_to_measure(model: GAN, command: str) -> None:
    if model.quality is None:
        raise ConfigError(f"{command} has nothing to measure: set model.quality.")
