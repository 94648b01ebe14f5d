"""The generator's optimizer, and learning-rate schedules: by generator steps, or by validations."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gantk.errors import ConfigError


def optimizer(make: Callable[..., Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Makes an optimizer that takes one gradient at each step.

    Raises:
        ConfigError: If it refuses its settings, has no usable learning rate, or asks for more than one gradient.
    """
    try:
        made = make(parameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The generator's optimizer cannot be made: {error}") from error
    if isinstance(made, LBFGS):
        raise ConfigError(
            "LBFGS asks for several gradients in a step, and a training step here has one: choose another optimizer, "
            "such as torch.optim.Adam."
        )
    for group in made.param_groups:
        if not 0 <= float(group.get("lr", 0)) < math.inf:
            raise ConfigError(f"The learning rate must be a number of at least 0, got lr={group['lr']}.")
    return made


def for_lightning(make: Callable[[Optimizer], LRScheduler | ReduceLROnPlateau], steps: Optimizer) -> dict[str, Any]:
    """What ``configure_optimizers`` returns for a schedule that ``step`` and ``step_plateaus`` drive.

    Raises:
        ConfigError: If it refuses its settings.
    """
    try:
        scheduler = make(steps)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The learning-rate schedule cannot be made: {error}") from error
    # Lightning would step a plateau schedule by epochs, and after the checkpoints of a validation are saved.
    return {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}


def step(scheduler: LRScheduler | ReduceLROnPlateau) -> None:
    """After a generator step."""
    if not isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step()


def step_plateaus(trainer: Trainer, metrics: dict[str, Tensor]) -> None:
    """After a validation, which gave ``metrics``.

    Raises:
        ConfigError: If a schedule monitors something else.
    """
    for config in trainer.lr_scheduler_configs:
        if isinstance(config.scheduler, ReduceLROnPlateau):
            monitored = getattr(config.scheduler, "monitor", "val/fid")
            if monitored not in metrics:
                raise ConfigError(
                    f"The learning-rate schedule monitors {monitored!r}, which validation does not give; it gives "
                    f"{', '.join(metrics)}."
                )
            config.scheduler.step(metrics[monitored])
