"""The generator's optimizer, and learning-rate schedules: by generator steps, or by validations."""

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gantk.errors import ConfigError


def configured(
    make_optimizer: Callable[..., Optimizer],
    make_scheduler: Callable[[Optimizer], LRScheduler | ReduceLROnPlateau] | None,
    parameters: Iterable[nn.Parameter],
) -> Any:
    """What ``configure_optimizers`` returns: an optimizer, and the schedule of its learning rate where there is one.

    Raises:
        ConfigError: If they refuse their settings, have no usable learning rate, or ask for more than one gradient.
    """
    made = _optimizer(make_optimizer, parameters)
    return made if make_scheduler is None else {"optimizer": made, "lr_scheduler": _for_lightning(make_scheduler, made)}


def _optimizer(make: Callable[..., Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """One that takes one gradient at each step."""
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


def beside_descent(optimizer: Optimizer) -> str:
    """What is more than plain gradient descent, in words: "Adam", "SGD with momentum"; "" where nothing is."""
    if not isinstance(optimizer, SGD):
        return type(optimizer).__name__
    more = [name for name in ("momentum", "weight_decay", "maximize") if any(g[name] for g in optimizer.param_groups)]
    return f"SGD with {' and '.join(more)}" if more else ""


def _for_lightning(make: Callable[[Optimizer], LRScheduler | ReduceLROnPlateau], steps: Optimizer) -> dict[str, Any]:
    """A schedule that ``step`` and ``step_plateaus`` drive."""
    try:
        scheduler = make(steps)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The learning-rate schedule cannot be made: {error}") from error
    for group in steps.param_groups:
        group.setdefault("initial_lr", group["lr"])  # as most schedules do, plateaus not: a resumed run asks for it
    # Lightning would step a plateau schedule by epochs, and after the checkpoints of a validation are saved.
    return {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}


def check(made: Any) -> None:
    """Takes one step of the schedule that ``configured`` made, if there is one, of which nothing is kept.

    Raises:
        ConfigError: If it cannot take it.
    """
    if not isinstance(made, dict):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer takes none
            step(made["lr_scheduler"]["scheduler"])
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ConfigError(f"The learning-rate schedule cannot take a step: {error}.") from error


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
