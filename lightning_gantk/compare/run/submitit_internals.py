"""submitit's insides: the one file that uses names which submitit keeps to itself (tested with 1.5.0 and 1.5.4)."""

import submitit

from lightning_gantk.errors import ConfigError


def option_names() -> tuple[set[str], set[str]]:
    """The options of every executor, and those of SLURM's alone, without ``slurm_`` before them.

    submitit checks names when they are given, one at a time; a message that says what there is needs them all.

    Raises:
        ConfigError: If this submitit does not tell.
    """
    try:
        return set(submitit.AutoExecutor._typed_parameters()), set(submitit.SlurmExecutor._valid_parameters())
    except AttributeError as error:
        raise ConfigError(f"submitit {submitit.__version__} does not tell its options ({error}); take 1.5.") from error
