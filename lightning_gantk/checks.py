"""Numbers and shapes that an option may have, checked where it is given and refused in the same words everywhere."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from lightning_gantk.errors import ConfigError

_FEW = 4  # numbers of an array that a message shows
_LONGEST = 120  # characters of what it shows


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
    if not _is_whole(value, least):
        raise ConfigError(f"{_told(name, of)} must be a whole number of at least {least}, got {in_words(value)}.")


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
        raise ConfigError(f"{_told(name, of)} must be {allowed}, got {in_words(value)}.")


def wholes(name: str, value: Any) -> tuple[int, ...]:
    """Positive whole numbers, of a list, a tuple or an array of them.

    Args:
        name: Of the option.
        value: That it was given.

    Raises:
        ConfigError: If ``value`` is no list, or one of its items is something else.
    """
    items = _items(value)
    if items is None or not all(map(_is_whole, items)):
        raise ConfigError(f"{name!r} must list positive whole numbers, got {in_words(value)}.")
    return tuple(map(int, items))


def sample_shape(name: str, value: Any) -> tuple[int, ...]:
    """The shape of a sample, ``(C, H, W)`` or ``(d,)``; a list and an array of them pass too.

    Args:
        name: Of the option.
        value: That it was given.

    Raises:
        ConfigError: If ``value`` is no such shape.
    """
    items = _items(value)
    if items is None or len(items) not in (1, 3) or not all(map(_is_whole, items)):
        vectors = f": vectors of {value} coordinates have the shape ({value},)" if _is_whole(value) else ""
        raise ConfigError(
            f"{name!r} must be (channels, height, width) or (dimension,), in positive whole numbers, "
            f"got {in_words(value)}{vectors}."
        )
    return tuple(map(int, items))


def in_words(value: Any) -> str:
    """What was given in the place of something else, in the words of a message, on one line.

    A class is told from what is made of it; of an array the shape is told, and of what needs many words its kind alone.
    """
    if isinstance(value, type):
        return f"the class {value.__name__}: make one of it, {value.__name__}(...)"
    if math.prod(getattr(value, "shape", ())) > _FEW:
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    words = repr(value)
    return words if "\n" not in words and len(words) <= _LONGEST else type(value).__name__


def _is_whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _items(value: Any) -> Sequence[Any] | None:
    """The items of a list, a tuple or an array; None of anything else, a text included."""
    listed = value.tolist() if hasattr(value, "tolist") else value
    return listed if isinstance(listed, Sequence) and not isinstance(listed, str) else None


def _told(name: str, of: str) -> str:
    return f"{name!r} {of}" if of else repr(name)
