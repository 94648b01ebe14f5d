"""Learning-rate schedules: by generator steps, or by validations."""

from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gantk.errors import ConfigError


def for_lightning(scheduler: LRScheduler | ReduceLROnPlateau) -> dict[str, Any]:
    """What ``configure_optimizers`` returns for a schedule that ``step`` and ``step_plateaus`` drive."""
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
