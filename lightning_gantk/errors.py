"""The two errors that are meant for people: one they can mend, one they should know about."""


class ConfigError(ValueError):
    """Something the user asked for cannot be done; the message says what, and what can.

    ``train.py`` prints the message as a single line and leaves with exit code 2, before any training.
    """


class TrainingDiverged(RuntimeError):
    """A NaN or an infinity appeared during training; the message names the step and the tensor.

    ``train.py`` prints the message, and the checkpoint it saved, and leaves with exit code 1.
    """
