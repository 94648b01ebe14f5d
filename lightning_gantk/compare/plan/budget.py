"""The budget that all runs have: seconds of training in the place of a number of steps."""

from typing import Any

from lightning_gantk.compare.plan.checks import number, one_of, refuse_unknown
from lightning_gantk.compare.plan.choices import Choice

_KEYS = ("seconds", "clock", "schedule")


def budget_of(given: Any) -> Choice:
    """The settings of a run that trains for a time, laid over all others.

    Args:
        given: What stands under ``budget``: seconds, or a mapping of the options of ``callbacks.Budget``.

    Raises:
        ConfigError: If it is anything else.
    """
    given = given if isinstance(given, dict) else {"seconds": given}
    refuse_unknown(given, _KEYS, "'budget'")
    settings: dict[str, Any] = {"budget.seconds": number(given.get("seconds"), "'budget' (its seconds)", above=0)}
    if "clock" in given:
        settings["budget.clock"] = one_of(given["clock"], ("wall", "cpu"), "'clock' of 'budget'")
    if given.get("schedule") is not None:
        settings["budget.schedule"] = one_of(given["schedule"], ("cosine",), "'schedule' of 'budget'")
        settings["model.scheduler"] = None
    settings |= {"trainer.max_steps": -1, "trainer.max_epochs": -1}
    return Choice("budget", (), tuple(settings.items()))
