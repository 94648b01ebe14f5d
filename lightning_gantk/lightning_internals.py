"""Lightning's insides: the one file that uses names which Lightning keeps to itself.

What it has no public way for is asked here, by a function that says what is wanted and why the way leads inside. Every
name is looked for before it is used or replaced, because a hook that Lightning no longer calls, or a counter that it no
longer reads, would fail in silence.
"""

from typing import Any

import lightning
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.core.mixins import hparams_mixin

from lightning_gantk.errors import ConfigError

TESTED = "lightning 2.6.1 and 2.6.6"


def _look_for(owner: object, *names: str) -> None:
    for name in names:
        if not hasattr(owner, name):
            raise _gone(name, owner)


def _gone(name: str, owner: object) -> ConfigError:
    home = getattr(owner, "__name__", type(owner).__name__)
    return ConfigError(
        f"lightning {lightning.__version__} has no {name!r} in {home}, which this package needs; tested are {TESTED}: "
        "pip install 'lightning>=2.6.1,<2.7'."
    )


# Modules


def configuration_is_given() -> bool:
    """Whether the command line is making the module at hand, so that ``save_hyperparameters`` keeps its configuration.

    Lightning decides this by a context variable and tells nobody, but what a constructor should save depends on it:
    configuration is plain, whereas the constructor's arguments are objects.
    """
    _look_for(hparams_mixin, "_given_hyperparameters")
    return bool(hparams_mixin._given_hyperparameters.get())


def log_again(trainer: Trainer, hook: str, name: str, value: Any) -> bool:
    """Gives Lightning the newest value of something that ``self.log`` has logged in this hook and this epoch before.

    ``self.log`` checks names, settings and signatures anew at every call, at the cost of a twelfth of a step in 2-D;
    there is no public way to have that done once.

    Args:
        trainer: In training.
        hook: Name of the hook that logs, such as "training_step".
        name: Of what is logged, by step and without averages.
        value: A tensor of one element.

    Returns:
        Whether it was done; else ``self.log`` is to be called, which has the checks made.
    """
    try:
        results = trainer._results
        assert results is not None  # in training
        entry = results.get(f"{hook}.{name}")
        if entry is None or entry.has_reset:
            return False
        entry.update(value, 1)
    except AttributeError as error:
        raise _gone(error.name or "_results", trainer) from error
    return True


# Loops and their counters


def count_steps_as_taken(trainer: Trainer) -> None:
    """Makes the step that loggers see the number of steps taken.

    Lightning counts it apart from ``global_step`` and loses count when it resumes; nothing public sets it.
    """
    loop = trainer.fit_loop.epoch_loop
    _look_for(loop, "_batches_that_stepped")
    loop._batches_that_stepped = trainer.global_step


def batches_are_done(trainer: Trainer) -> bool:
    """Whether an epoch has had as many batches as it is to have."""
    loop = trainer.fit_loop.epoch_loop
    _look_for(loop, "_num_ready_batches_reached")
    return loop._num_ready_batches_reached()


def epoch_is_over(trainer: Trainer) -> bool:
    """Whether a resumed run stands at the end of an epoch with no validation to make.

    Only the loop of an epoch knows, and it keeps the answer to itself.
    """
    done, loop, epochs = batches_are_done(trainer), trainer.fit_loop.epoch_loop, trainer.fit_loop
    _look_for(loop, "_should_check_val_fx")
    _look_for(epochs, "_data_fetcher")
    fetcher = epochs._data_fetcher
    assert fetcher is not None  # the loop makes it before it resumes
    return done and not loop._should_check_val_fx(fetcher)


def skip_rest_of_epoch(trainer: Trainer) -> None:
    """Has a resumed run end the epoch, where Lightning would wait for a validation and train meanwhile.

    It looks at a mark on the loop of validation alone; ``rest_is_skipped`` takes the mark away again.
    """
    validation = trainer.fit_loop.epoch_loop.val_loop
    _look_for(validation, "_has_run")
    validation._has_run = True


def rest_is_skipped(trainer: Trainer) -> None:
    """The end of the restart, which an epoch without a batch does not reach by itself."""
    trainer.fit_loop.epoch_loop.val_loop._has_run = False
    trainer.fit_loop.epoch_loop.on_iteration_done()


def mend_counters(loops: dict[str, Any], *, validated: bool) -> None:
    """Makes a checkpoint say: in an epoch, so many batches done, then validated or (amid its first batch) not yet.

    The states of loops in checkpoints have no other access than their keys.

    Args:
        loops: ``checkpoint["loops"]``, changed in place.
        validated: Whether the validation that may follow the last batch is done.

    Raises:
        ConfigError: If this Lightning's checkpoints are laid out otherwise.
    """
    try:
        _mend(loops["fit_loop"], validated=validated)
    except KeyError as error:
        raise _gone(str(error.args[0]), Trainer) from error


def _mend(loops: dict[str, Any], *, validated: bool) -> None:
    epochs, batches = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    validation = loops["epoch_loop.val_loop.batch_progress"]
    if batches["total"]["ready"] == 0:
        return  # saved before any training: as Lightning has it
    amid_epoch = epochs["current"]["started"] > epochs["current"]["processed"]
    for part in ("total", "current"):
        over = epochs[part]["processed"] - (0 if amid_epoch else 1)
        epochs[part] = {"ready": over + 1, "started": over + 1, "processed": over, "completed": over}
        batches[part] = dict.fromkeys(("ready", "started", "processed", "completed"), batches[part]["ready"])
        begun = 0 if validated else 1
        validation[part] = {"ready": begun, "started": begun, "processed": 0, "completed": 0}
    validation["is_last_batch"] = False
    optimizer = loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    # One less than the steps taken: Lightning adds it at the end of the batch, after validation.
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = max(optimizer["step"]["total"]["completed"] - 1, 0)


# The command line


class CommandLine(LightningCLI):
    """``LightningCLI`` with three more hooks, and the parser of each command.

    Lightning's own hooks are before parsing and around the making of objects; none is where it seeds, none where it
    takes the model's settings from a checkpoint, and none in the place of running.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        _look_for(LightningCLI, "_parse_ckpt_path", "_run_subcommand", "_set_seed")
        super().__init__(*args, **kwargs)

    def set_seed(self) -> None:
        """Hook: seeds what draws random numbers as the configuration says."""
        super()._set_seed()

    def take_settings_from_checkpoint(self) -> None:
        """Hook: sets the model up as in the checkpoint ``ckpt_path`` of ``config``, where there is one."""
        super()._parse_ckpt_path()

    def run_command(self, command: str) -> None:
        """Hook: runs "fit" or another command, when everything is made."""
        super()._run_subcommand(command)

    def parser_of(self, command: str) -> LightningArgumentParser:
        """The parser of a command, and the one of all for what is no command."""
        _look_for(self, "_subcommand_parsers")
        return self._subcommand_parsers.get(command, self.parser)

    def _set_seed(self) -> None:
        self.set_seed()

    def _parse_ckpt_path(self) -> None:
        self.take_settings_from_checkpoint()

    def _run_subcommand(self, subcommand: str) -> None:
        self.run_command(subcommand)


# The progress bar


class ProgressBar(RichProgressBar):
    """``RichProgressBar`` with a hook for the words before the bar of training, which Lightning writes by epochs."""

    def __init__(self, *args: Any, **kwargs: Any):
        _look_for(RichProgressBar, "_get_train_description")
        super().__init__(*args, **kwargs)

    def words_of_training(self, epoch: int) -> str:
        """Hook: what stands before the bar."""
        return super()._get_train_description(epoch)

    def _get_train_description(self, current_epoch: int) -> str:
        return self.words_of_training(current_epoch)
