"""What a comparison searches before it compares: the same number of trials for every entry."""

import math
from dataclasses import dataclass
from typing import Any

from lightning_gantk.compare.plan.checks import first_twice, number, one_of, optional, refuse_unknown
from lightning_gantk.errors import ConfigError

SAMPLERS = ("tpe", "random", "gp")
_KEYS = ("trials", "seconds", "sampler", "seed", "space")
_RANGE = ("low", "high", "log", "first")
_TRIAL_SEED = 1_000_000  # far from those that people take


@dataclass(frozen=True)
class Parameter:
    """Where a value is looked for: among ``choices``, or else from ``low`` to ``high``.

    Attributes:
        choices: Values; none for a range.
        low: Least value.
        high: Largest value.
        log: Whether the logarithm is what is spread evenly.
        whole: Whether only whole numbers count.
        first: Value of the first trial; None leaves it to the sampler.
    """

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    first: Any = None

    @property
    def example(self) -> Any:
        """A value."""
        return self.choices[0] if self.choices else self.low

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"


Space = tuple[tuple[str, Parameter], ...]  # by dotted key


@dataclass(frozen=True)
class SearchPlan:
    """How every cell is searched.

    Attributes:
        trials: Of each cell.
        seconds: Of each trial, where they are fewer than those of the budget; None for as many.
        sampler: One of ``SAMPLERS``, Optuna's.
        seed: That all trials train with; none of those compared.
        space: What is searched in all cells, beside their own.
    """

    trials: int
    seconds: float | None
    sampler: str
    seed: int
    space: Space


def search_of(given: Any, seeds: tuple[int, ...]) -> SearchPlan:
    """Reads ``search`` of a specification.

    Raises:
        ConfigError: If it is not as it must be, or its seed is one of those compared.
    """
    if not isinstance(given, dict):
        raise ConfigError(f"'search' must be a mapping with the keys {', '.join(_KEYS)}, got {given!r}.")
    refuse_unknown(given, _KEYS, "'search'")
    seed = int(number(given.get("seed", _TRIAL_SEED), "'seed' of 'search'", whole=True, least=0))
    if seed in seeds:
        raise ConfigError(f"'seed' of 'search' must be none of 'seeds', which are for what was found, got {seed}.")
    return SearchPlan(
        trials=int(number(given.get("trials"), "'trials' of 'search'", whole=True, least=1)),
        seconds=optional(given.get("seconds"), "'seconds' of 'search'", above=0),
        sampler=one_of(given.get("sampler", "tpe"), SAMPLERS, "'sampler' of 'search'"),
        seed=seed,
        space=space_of(given.get("space") or {}, "'space' of 'search'"),
    )


def space_of(given: Any, where: str) -> Space:
    """Reads parameters by dotted key: a list of values, or a mapping with ``low`` and ``high``.

    Raises:
        ConfigError: If one is anything else, or has nothing to choose from.
    """
    if not isinstance(given, dict):
        raise ConfigError(f"{where} must be a mapping of dotted keys to values or ranges, got {given!r}.")
    return tuple((str(key), _parameter(one, f"{key!r} of {where}")) for key, one in given.items())


def _parameter(given: Any, where: str) -> Parameter:
    if isinstance(given, list):
        if len(given) < 2 or first_twice(given) is not None:
            raise ConfigError(f"{where} must be a list of two or more different values, got {given!r}.")
        return Parameter(choices=tuple(given))
    if not isinstance(given, dict) or not {"low", "high"} <= given.keys():
        raise ConfigError(f"{where} must be a list of values, or a mapping with 'low' and 'high', got {given!r}.")
    refuse_unknown(given, _RANGE, where)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"'log' of {where} must be true or false, got {log!r}.")
    low = number(given["low"], f"'low' of {where}", above=0 if log else None)
    high = number(given["high"], f"'high' of {where}", above=low)
    first = given.get("first")
    if first is not None and number(first, f"'first' of {where}", least=low) > high:
        raise ConfigError(f"'first' of {where} must lie between {low} and {high}, got {first}.")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError(f"{where} must lie between two finite numbers, got {low} and {high}.")
    whole = all(isinstance(one, int) for one in (low, high))
    if whole and first is not None:
        if first != int(first):
            raise ConfigError(f"'first' of {where} must be a whole number, as 'low' and 'high' are, got {first}.")
        first = int(first)
    return Parameter(low=low, high=high, log=log, whole=whole, first=first)
