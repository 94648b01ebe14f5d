"""The errors that are meant for people: one they can mend, two they should know about."""


class ConfigError(ValueError):
    """Something the user asked for cannot be done; the message says what, and what can.

    ``train.py`` prints the message as a single line and leaves with exit code 2, before any training.
    """


class TrainingDiverged(RuntimeError):
    """A NaN or an infinity appeared during training; the message names the step and the tensor.

    ``train.py`` prints the message, and the checkpoint it saved, and leaves with exit code 1.
    """


class ProcessLost(RuntimeError):
    """Another process of the run has died, and this one has stopped; the message says where to resume.

    ``train.py`` prints the message and leaves with exit code 1.
    """
