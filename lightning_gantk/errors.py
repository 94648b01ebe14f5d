"""The errors that are meant for people: one they can mend, two they should know about."""


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
