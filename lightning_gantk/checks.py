"""Numbers that an option may have, checked where it is given and refused in the same words everywhere."""

import math
from numbers import Integral, Real
from typing import Any

from lightning_gantk.errors import ConfigError


def whole(name: str, value: Any, least: int = 1, *, of: str = "", or_none: bool = False) -> None:
    """Refuses what is no whole number.

    Args:
        name: Of the option.
        value: That it was given.
        least: The smallest that is allowed.
        of: Whose option it is, "of the flow", where the name alone does not say.
        or_none: Whether None, an option that is left out, passes.

    Raises:
        ConfigError: If ``value`` is smaller, or no whole number.
    """
    if or_none and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ConfigError(f"{_told(name, of)} must be a whole number of at least {least}, got {value!r}.")


def number(name: str, value: Any, *, positive: bool = False, of: str = "") -> None:
    """Refuses what is no finite number, or below 0.

    Args:
        name: Of the option.
        value: That it was given.
        positive: Whether 0 is refused too.
        of: As for ``whole``.

    Raises:
        ConfigError: If ``value`` is not one of these.
    """
    fits = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf
    if not fits or (positive and value == 0):
        allowed = "positive" if positive else "a number of at least 0"
        raise ConfigError(f"{_told(name, of)} must be {allowed}, got {value!r}.")


def _told(name: str, of: str) -> str:
    return f"{name!r} {of}" if of else repr(name)
