"""The command line of runs: what ``gantk fit``, ``validate``, ``test`` and ``predict`` do."""

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from torch.utils.data import DataLoader

from datamodules.base import DataModule
from datamodules.samples import as_dataset
from lightning_gantk import callbacks, checkpoint_files, cli_checks, programs, resumption, runs, trust
from lightning_gantk.cli_messages import (
    Keys,
    causes,
    explain,
    explain_metric,
    explain_own,
    explain_storage,
    prepare_help,
    shortened,
)
from lightning_gantk.errors import ConfigError, ProcessLost, TrainingDiverged
from lightning_gantk.files import write_text
from lightning_gantk.flows.discriminator_flow import ADAM as FLOW_ADAM
from lightning_gantk.flows.discriminator_flow import DiscriminatorFlow
from lightning_gantk.gan import ADAM, GAN
from lightning_gantk.lightning_internals import CommandLine
from lightning_gantk.processes import announced_rank
from lightning_gantk.quiet import quieten
from lightning_gantk.training.measured import Measured
from lightning_gantk.training.own_folder import locked
from lightning_gantk.training.trainer import callbacks_of, is_only_a_try

_Error = TypeVar("_Error", bound=BaseException)

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

_OF_SAMPLES = ("refine", "stop")  # what is done with samples: no part of a trained model's settings, and given anew

# What the key `system` of a configuration may say: the module that is trained, and settings of its usual optimizer.
SYSTEMS: dict[str, tuple[type[Measured], dict[str, Any]]] = {
    "GAN": (GAN, ADAM),
    "DiscriminatorFlow": (DiscriminatorFlow, FLOW_ADAM),
}


class GANCommand(CommandLine):
    """Lightning's command line for ``GAN``, or another of the ``SYSTEMS`` where the configuration says ``system``: its
    callbacks, a folder for each run, errors in one line.

    A run's folder is ``<trainer.default_root_dir>/<name>/version_<k>``; resumed from its ``last.ckpt`` it stays there.

    Args:
        args: Words of the command line; those that python was called with where none are given.
        expected: Metrics that somebody waits for: the first validation is to give them.
    """

    def __init__(self, args: list[str] | None = None, *, expected: Iterable[str] = ()):
        self._resumed, self._expected = Resumed(), tuple(expected)
        words = sys.argv[1:] if args is None else list(args)
        self._system = runs.system_of(words, tuple(SYSTEMS), default="GAN")
        super().__init__(
            SYSTEMS[self._system][0],
            DataModule,
            subclass_mode_data=True,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"save_to_log_dir": False},  # Lightning would not write it whole
            trainer_defaults=_TRAINER,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=words,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        known = CommandLine.subcommands()
        return {name: known[name] for name in ("fit", "validate", "test", "predict")}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        trust.read_here_alone()
        return super().init_parser(exit_on_error=False, allow_abbrev=False, **kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, default=None, help="Of the run; else that of its configs.")
        known = ", ".join(SYSTEMS)
        parser.add_argument("--system", type=str, default=self._system, help=f"What is trained: {known}.")
        adam = SYSTEMS[self._system][1]
        parser.set_defaults({"model.optimizer": {"class_path": "torch.optim.Adam", "init_args": adam}})
        for key in ("SampleGrid", "BestCheckpoint", "LastCheckpoint", "SavePredictions", "Budget"):
            parser.add_class_arguments(getattr(callbacks, key), _snake(key))

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str]) -> None:
        prepare_help(args)
        args = runs.with_config_of_checkpoint(args)
        with self._explained(args[0] if args else ""):
            self.config = parser.parse_args(args)
        options = self.config[self.config.subcommand]
        cli_checks.refuse_dropped(args, options)
        cli_checks.refuse_impossible(options, writes=self.config.subcommand == "fit")

    def take_settings_from_checkpoint(self) -> None:
        command = self.config.subcommand
        options = self.config[command]
        options.name = options.name or runs.name_of(options.config or [])
        path = runs.find_checkpoint(options.ckpt_path, options.trainer.default_root_dir, options.name)
        if path is None:
            if command != "fit":
                raise ConfigError(f"{command} needs a trained generator: give --ckpt_path, a file or 'last' or 'best'.")
            return
        options.ckpt_path = str(path)
        checkpoint = checkpoint_files.read(path)
        if command == "fit":
            self._resumed = Resumed(checkpoint["global_step"], resumption.changes(checkpoint, self._settings()))
            resumption.refuse_impossible(self._resumed.changes)
            if self._resumed.changes and announced_rank() == 0:
                print(resumption.told(self._resumed.changes, options.ckpt_path))
            return
        trust.refuse_foreign(checkpoint.get("hyper_parameters"), str(path), asked_for=self._settings())
        before = options.model.clone()
        with self._explained(command):
            super().take_settings_from_checkpoint()
        for key in _OF_SAMPLES:
            if before.get(key) is not None:
                self.config[command].model[key] = before[key]
        if keys := _differing(before, self.config[command].model):
            told = ", ".join(keys[:4]) + (" and others" if len(keys) > 4 else "")
            print(f"The model is set up as in {path}, which differs from the settings given in {told}.")

    def _settings(self) -> dict[str, Any]:
        """All settings of the command, as plain values."""
        return yaml.safe_load(self.parser.dump(self.config, skip_none=False))[self.config.subcommand]

    def instantiate_classes(self) -> None:
        """Makes everything; an error in a part of the user's own is told by its file and line."""
        try:
            super().instantiate_classes()
        except (ConfigError, MisconfigurationException):
            raise
        except Exception as error:
            if (line := explain_metric(error)) is not None:
                raise ConfigError(line) from error
            if isinstance(error, OSError):
                raise
            if (config_error := _of_kind(error, ConfigError)) is not None:
                raise config_error from error
            if (missing := _of_kind(error, ImportError)) is not None:
                raise ConfigError(f"a package is missing: {missing}".replace("`", "'")) from error
            if (line := explain_own(error)) is None:
                raise
            raise ConfigError(line) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        options = self.config_init[str(self.subcommand)]
        if self.subcommand != "fit":
            self.save_config_callback = None
            kwargs["logger"] = options.trainer.logger or False
        elif options.trainer.logger is not False:
            others = runs.without_folder(options.trainer.logger)
            if others is not None:
                place = options.trainer.default_root_dir, options.name, options.ckpt_path
                same = resumption.only_longer(self._resumed.changes)
                own = runs.logger(*place, step=self._resumed.step, same_course=same)
                kwargs["logger"] = [own, *others] if others else own
        given = options.trainer.callbacks or []
        given = given if isinstance(given, list) else [given]
        try:
            return super().instantiate_trainer(callbacks=[*given, *self._callbacks(options, given)], **kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigError(shortened(str(error))) from error

    def _callbacks(self, options: Any, given: list[Callback]) -> Iterator[Callback]:
        trainer = options.trainer
        if trainer.enable_progress_bar is not False and not any(isinstance(one, ProgressBar) for one in given):
            yield callbacks.StepProgressBar()
        if self.subcommand == "fit":
            metric = options.best_checkpoint.monitor
            yield options.budget
            yield from (callbacks.LastValidation(), callbacks.MonitoredNames(self._expected))
            yield from (options.sample_grid, callbacks.RunSummary(metric), callbacks.KeepLoggedPoints())
            yield callbacks.LogHyperparameters({"seed": options.seed_everything}, metric)
            yield from self._resumed.callbacks()
        if self.subcommand == "predict":
            yield options.save_predictions
        if trainer.enable_checkpointing is not False:  # checkpoints after everything else, the one that stops last
            if self.subcommand == "fit":
                yield from [options.best_checkpoint] if self.model.quality is not None else []
                yield options.last_checkpoint
            yield callbacks.StopOnSignal()

    def fit(self, model: Measured, **kwargs: Any) -> None:
        """Validates the untrained generator, so that its FID is known, and trains."""
        model.check_optimizer()  # before data are read
        for one in callbacks_of(self.trainer):
            if isinstance(one, callbacks.CheckedCallback):
                one.check(self.trainer, model, self.datamodule)
        new = kwargs.get("ckpt_path") is None
        measures = model.quality is not None and self.trainer.limit_val_batches and not is_only_a_try(self.trainer)
        try:
            with self._own_folder():
                if new and measures:
                    self.trainer.validate(model, datamodule=self.datamodule, verbose=False)
                self.trainer.fit(model, **kwargs)
        except ConfigError:
            if getattr(self.trainer.logger, "claimed", False):
                runs.discard_unused(self.trainer.log_dir)
            raise

    def _own_folder(self) -> AbstractContextManager[None]:
        """The run's folder, for this run alone: the first of its processes holds the lock."""
        if not self.trainer.is_global_zero or is_only_a_try(self.trainer):
            return nullcontext()
        return locked(self.trainer.log_dir or self.trainer.default_root_dir)

    def validate(self, model: Measured, **kwargs: Any) -> None:
        _has_something_to_measure(model, "validate")
        self.trainer.validate(model, **kwargs)

    def test(self, model: Measured, **kwargs: Any) -> None:
        """Measures on the samples held out for the end, where the data have such; else on those of validation."""
        _has_something_to_measure(model, "test")
        self.trainer.test(model, **kwargs)
        if self.datamodule.test_dataset is None and announced_rank() == 0:
            print("The data hold no samples out for the end: these are those by which validation chooses.")

    def predict(self, model: Measured, ckpt_path: str, **kwargs: Any) -> None:
        """Samples from the generator in a checkpoint; no data are read, but where ``refine`` follows real samples."""
        options = self.config_init["predict"].save_predictions
        latents = model.generator.fixed_latent(options.num_samples, options.seed)
        batches = DataLoader(as_dataset(latents), batch_size=256)
        model.show_reals(self.datamodule)
        self.trainer.predict(model, dataloaders=batches, ckpt_path=ckpt_path, return_predictions=False)

    @contextmanager
    def _explained(self, command: str) -> Iterator[None]:
        try:
            yield
        except argparse.ArgumentError as error:
            raise ConfigError(explain(str(error), self._keys(command), command)) from error

    def _keys(self, command: str) -> Keys:
        known = [key for key in self.parser_of(command).get_defaults().keys(branches=True) if key != "config"]
        others = {name: kind for kind, (module, _) in SYSTEMS.items() for name in inspect.signature(module).parameters}
        return Keys(known, self._system, {f"model.{name}": kind for name, kind in others.items()})


@dataclass(frozen=True)
class Resumed:
    """The checkpoint that a run goes on from.

    Attributes:
        step: Generator steps that were taken; 0 of a new run.
        changes: Of settings since.
    """

    step: int = 0
    changes: list[resumption.Change] = field(default_factory=list)

    def callbacks(self) -> Iterator[Callback]:
        if parts := resumption.parts(self.changes):
            another = any(change.key == "model.optimizer" for change in self.changes)
            yield callbacks.ChangedSettings(parts, same_optimizer=not another)


class SaveRunConfig(SaveConfigCallback):
    """Keeps the configuration in the run's folder, in a form that starts the run anew, and in every checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.config = self.config.clone()
        self.config.ckpt_path = None
        self._text = self.parser.dump(self.config, skip_none=False)
        self._settings = yaml.safe_load(self._text)
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # every process has to ask
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        write_text(self._folder / "config.yaml", self._text)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[resumption.KEY] = self._settings


def main(args: list[str] | None = None, *, expected: Iterable[str] = ()) -> GANCommand:
    """Runs one command and returns it, with what it made: ``trainer``, ``model``, ``datamodule``.

    Args:
        args: Its words; those that the program was called with where none are given.
        expected: See ``GANCommand``.

    Raises:
        SystemExit: With one line on standard error. Code 2: something that was asked for cannot be done; 1: training
            diverged; 143 or 130: stopped by SIGTERM or Ctrl-C.
    """
    quieten()
    programs.keep()
    try:
        return GANCommand(args, expected=expected)
    except (ConfigError, MisconfigurationException) as error:
        _leave(error, 2)
    except (TrainingDiverged, ProcessLost) as error:
        _leave(error, 1)
    except OSError as error:
        if (line := explain_storage(error)) is None:
            raise
        _leave(line, 1)
    except KeyboardInterrupt:
        _leave("stopped by Ctrl-C.", 130)
    except RuntimeError as error:
        if "Error(s) in loading state_dict" not in str(error):
            raise
        _leave(f"the checkpoint holds another model: {error}", 2)


def _leave(message: object, code: int) -> NoReturn:
    print("gantk:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(code)


def _of_kind(error: BaseException, kind: type[_Error]) -> _Error | None:
    """The first of a kind among an error and its causes."""
    return next((cause for cause in causes(error) if isinstance(cause, kind)), None)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _has_something_to_measure(model: Measured, command: str) -> None:
    if model.quality is None:
        raise ConfigError(f"{command} has nothing to measure: set model.quality.")


def _differing(before: Any, after: Any) -> list[str]:
    """The keys by which two configurations of a model differ, classes first and with both names."""
    one, other = dict(before.items()), dict(after.items())
    keys = sorted(key for key in {**one, **other} if one.get(key) != other.get(key))
    classes = [key for key in keys if key.endswith("class_path")]
    names = {key: [str(part.get(key)).rpartition(".")[-1] for part in (other, one)] for key in classes}
    told = [f"model.{key.removesuffix('.class_path')} ({new} and not {old})" for key, (new, old) in names.items()]
    changed = tuple(key.removesuffix("class_path") for key in classes)  # whose options go with them
    return told + [f"model.{key}" for key in keys if not key.startswith(changed or ("\0",))]
