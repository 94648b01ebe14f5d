"""What is meant for people: errors that they can mend or should know about, and advice."""


class ConfigError(ValueError):
    """Something the user asked for cannot be done; the message says what, and what can.

    ``train.py`` prints the message as a single line and leaves with exit code 2, before any training.

    Examples:
        >>> from lightning_gantk import ConfigError, MLP
        >>> try:
        ...     MLP(hidden_layers=-1)
        ... except ConfigError as error:
        ...     print(error)
        'hidden_layers' must be a whole number of at least 1, got -1.
    """


class MetricMissing(ConfigError):
    """A comparison waits for a metric that a run of it does not log: a mistake of the whole comparison.

    Examples:
        >>> from lightning_gantk.errors import ConfigError, MetricMissing
        >>> issubclass(MetricMissing, ConfigError)
        True
    """


class TrainingDiverged(RuntimeError):
    """A NaN or an infinity appeared during training; the message names the step and the tensor.

    ``train.py`` prints the message, and the checkpoint it saved, and leaves with exit code 1.

    Examples:
        >>> import torch
        >>> from lightning_gantk import TrainingDiverged
        >>> from lightning_gantk.metrics import EnergyDistance
        >>> try:
        ...     EnergyDistance().update(torch.tensor([[float("nan")]]), real=False)
        ... except TrainingDiverged as error:
        ...     print(error)
        NaN or infinity in the generated samples of which the quality is to be measured
    """


class ProcessLost(RuntimeError):
    """Another process of the run has died, and this one has stopped; the message says where to resume.

    ``train.py`` prints the message and leaves with exit code 1.

    Examples:
        >>> from lightning_gantk.errors import ProcessLost
        >>> issubclass(ProcessLost, RuntimeError)
        True
    """


class Advice(UserWarning):
    """Something that a run goes on with and its user should know; ``train.py`` prints it as a single line.

    Examples:
        >>> import warnings
        >>> from lightning_gantk.errors import Advice
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     warnings.warn("Three samples tell little.", Advice)
        >>> str(told[0].message)
        'Three samples tell little.'
    """
