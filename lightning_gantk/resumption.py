"""A run that goes on with other settings than it had: what differs, what that means, what cannot be."""

from dataclasses import dataclass
from typing import Any

from lightning_gantk.errors import ConfigError

KEY = "run_settings"  # in a checkpoint

_TRAINER = (
    "max_steps",
    "max_epochs",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "limit_train_batches",
    "precision",
)
_LENGTH = ("trainer.max_steps", "trainer.max_epochs")
_HARMLESS = ("model.statistics_every", "model.compile_generator", "model.refine")
_FIXED = {
    "model.generator": "the weights of the checkpoint are those of its own generator",
    "seed_everything": "its random numbers go on from the checkpoint",
}


@dataclass(frozen=True, eq=False)
class Change:
    """Of one setting.

    Attributes:
        key: Its dotted path.
        old: What the checkpoint's run had.
        new: What is asked for.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {_short(self.old)} -> {_short(self.new)}"


def changes(checkpoint: dict[str, Any], settings: dict[str, Any]) -> list[Change]:
    """The settings that differ and change the course of training.

    A setting that one of the two does not know, as one that came with a later version, is none.

    Args:
        checkpoint: What it holds; nothing can be said of one that was not saved by the command line.
        settings: All those that are asked for, as plain values.
    """
    old = checkpoint.get(KEY)
    return [] if old is None else list(_differences(_of_the_course(old), _of_the_course(settings)))


def refuse_impossible(found: list[Change]) -> None:
    """Refuses changes that a run cannot make in going on.

    Raises:
        ConfigError: Naming them all, old and new.
    """
    reasons = {change: reason for change in found if (reason := _why_not(change)) is not None}
    if reasons:
        told = "; ".join(f"{change} ({reason})" for change, reason in reasons.items())
        raise ConfigError(
            f"the run cannot go on with other settings than the checkpoint's here: {told}. Give the old ones, or start "
            "a new run without --ckpt_path."
        )


def only_longer(found: list[Change]) -> bool:
    """Whether the course is the same, and at most its end another."""
    return all(change.key in _LENGTH for change in found)


def parts(found: list[Change]) -> set[str]:
    """Which parts have changed: of "optimizer", "scheduler", "discriminator", "quality" and "budget", its schedule."""
    names = ("optimizer", "scheduler", "discriminator", "quality")
    found_parts = {name for name in names for change in found if _below(change.key, f"model.{name}")}
    return found_parts | {"budget" for change in found if _below(change.key, "budget")}


def told(found: list[Change], source: str) -> str:
    """The changes in lines for a person."""
    lines = [f"Going on from {source} with other settings than it had:", *(f"  {change}" for change in found)]
    if "discriminator" in parts(found):
        lines.append("The discriminator starts anew; the generator and its optimizer go on.")
    return "\n".join(lines)


def _of_the_course(settings: dict[str, Any]) -> dict[str, Any]:
    kept = {key: settings[key] for key in ("model", "data", "seed_everything") if key in settings}
    trainer, budget = settings.get("trainer") or {}, settings.get("budget") or {}
    schedule = budget.get("schedule")  # of the learning rate, by its seconds, which else are a length alone
    kept["budget"] = {"schedule": schedule, "seconds": budget.get("seconds") if schedule else None}
    return {**kept, "trainer": {key: trainer[key] for key in _TRAINER if key in trainer}}


def _differences(old: Any, new: Any, key: str = "") -> list[Change]:
    if isinstance(old, dict) and isinstance(new, dict) and _class_of(old) == _class_of(new):
        found = []
        for name in (old.keys() & new.keys()) - {"class_path"}:
            below = f"{key}.{name}" if key else name
            if below not in _HARMLESS:
                found += _differences(old[name], new[name], below)
        return sorted(found, key=lambda change: change.key)
    return [] if old == new else [Change(key, old, new)]


def _class_of(settings: dict[str, Any]) -> str | None:
    """The class that settings name; one of this package may be named by a longer or a shorter path."""
    path = settings.get("class_path")
    if isinstance(path, str) and path.startswith("lightning_gantk."):
        return f"lightning_gantk.{path.rpartition('.')[-1]}"
    return path


def _why_not(change: Change) -> str | None:
    if change.key == "model.ema_decay" and None in (change.old, change.new):
        return "an average is kept from the first step on or not at all"
    return next((reason for key, reason in _FIXED.items() if _below(change.key, key)), None)


def _below(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")


def _short(value: Any) -> str:
    """A value in few words: of a class its name."""
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"]).rpartition(".")[-1]
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
