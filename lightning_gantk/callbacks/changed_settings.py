"""A run that goes on with another optimizer, schedule, discriminator or metrics than its checkpoint had."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gantk.discriminators.base import Discriminator


class ChangedSettings(Callback):
    """Keeps the state of what has changed from being put back over the new settings.

    - A discriminator, or metrics, start anew: their state in the checkpoint is passed over, except for what a
      discriminator takes of the one before (``Discriminator.succeed``).
    - An optimizer of the same class keeps its moments and takes the new options; of another class it starts anew. A
      schedule that has not changed goes on where it was, in proportion to the new learning rate.
    - A budget's schedule that has changed, or is gone, begins with the learning rate that the old one began with.
    - A schedule that has changed starts at its beginning, from the optimizer's learning rate.

    Args:
        parts: What has changed: of "optimizer", "scheduler", "discriminator", "quality" and "budget", its schedule.
        same_optimizer: Whether the optimizer is of the same class.

    Examples:
        >>> from lightning_gantk.callbacks import ChangedSettings
        >>> sorted(ChangedSettings({"optimizer", "scheduler"}, same_optimizer=False).parts)
        ['optimizer', 'scheduler']
    """

    def __init__(self, parts: set[str], *, same_optimizer: bool = True):
        self.parts, self.same_optimizer = frozenset(parts), same_optimizer
        self._checkpoint: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and self.parts & {"discriminator", "quality"}:
            pl_module.register_load_state_dict_pre_hook(self._keep_new)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._checkpoint = checkpoint  # of which Lightning puts optimizers and schedules back after `on_fit_start`

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None or not self.parts & {"optimizer", "scheduler", "budget"}:
            return
        (old,) = checkpoint["optimizer_states"]
        if "budget" in self.parts:  # the learning rate is where its schedule had brought it
            for group in old["param_groups"]:
                group["lr"] = group.pop("initial_lr", group["lr"])
        if not self.parts & {"optimizer", "scheduler"}:
            return
        new = trainer.optimizers[0].state_dict()
        schedules = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
        if "scheduler" not in self.parts:
            for mine, theirs in zip(new["param_groups"], old["param_groups"], strict=True):
                begun = mine.get("initial_lr", mine["lr"])
                mine["lr"] = begun * theirs["lr"] / (theirs.get("initial_lr") or theirs["lr"] or 1.0)
                if "initial_lr" in theirs:  # a budget's schedule starts from it too
                    mine["initial_lr"] = begun
            schedules = [_rebased(state, new["param_groups"]) for state in checkpoint["lr_schedulers"]]
        checkpoint["lr_schedulers"] = schedules
        state = old["state"] if self.same_optimizer else {}
        checkpoint["optimizer_states"] = [{"state": state, "param_groups": new["param_groups"]}]

    def _keep_new(self, module: LightningModule, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.parts & {"discriminator", "quality"}:
            part, whole = getattr(module, name), f"{prefix}{name}."
            old = {key.removeprefix(whole): state.pop(key) for key in list(state) if key.startswith(whole)}
            if isinstance(part, Discriminator):
                part.succeed(old)
            if part is not None:
                state.update({f"{prefix}{name}.{key}": value for key, value in part.state_dict().items()})


def _rebased(schedule: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The state of a schedule, with the learning rates of an optimizer's groups as its bases."""
    rebased = dict(schedule)
    if "base_lrs" in rebased:
        rebased["base_lrs"] = [group.get("initial_lr", group["lr"]) for group in groups]
    if "_last_lr" in rebased:
        rebased["_last_lr"] = [group["lr"] for group in groups]
    if "_schedulers" in rebased:  # of a sequence
        rebased["_schedulers"] = [_rebased(inner, groups) for inner in rebased["_schedulers"]]
    return rebased
