"""Values that people write: what is allowed, and one line on what is not."""

from collections.abc import Iterable
from typing import Any

from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest


def refuse_unknown(given: dict[Any, Any], known: Iterable[str], where: str) -> None:
    """Refuses a key that is not known, and names the nearest that is."""
    for key in given:
        if key not in known:
            raise ConfigError(f"{where} has no key {key!r}{nearest(str(key), known)}")


def one_of(given: Any, allowed: tuple[str, ...], where: str) -> str:
    """Gives back one of the words allowed."""
    if given not in allowed:
        raise ConfigError(f"{where} must be {' or '.join(map(repr, allowed))}, got {given!r}.")
    return given


def number(
    given: Any,
    where: str,
    *,
    whole: bool = False,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Gives back a number within its limits."""
    kind = int if whole else (int, float)
    fits = isinstance(given, kind) and not isinstance(given, bool)
    fits = fits and (least is None or given >= least) and (above is None or given > above)
    if not fits or (below is not None and given >= below):
        limits = [f"at least {least}"] * (least is not None) + [f"above {above}"] * (above is not None)
        limits += [f"below {below}"] * (below is not None)
        raise ConfigError(f"{where} must be a {'whole ' if whole else ''}number {' and '.join(limits)}, got {given!r}.")
    return given


def optional(given: Any, where: str, **limits: Any) -> Any:
    """The same for a number that may be missing."""
    return None if given is None else number(given, where, **limits)


def first_twice(values: list[Any]) -> Any:
    """The first value that stands there again; None where there is none."""
    return next((value for place, value in enumerate(values) if value in values[:place]), None)
