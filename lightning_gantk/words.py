"""Words that people give: what is wrong with them is said in one line."""

import argparse
import difflib
from collections.abc import Iterable, Mapping
from typing import NoReturn

from lightning_gantk.errors import ConfigError

_FEW = 25  # words that a message lists


class Parser(argparse.ArgumentParser):
    """``argparse``'s, with errors of ours, without the usage before them."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; {self.prog} --help says more.")


def meant(word: str, known: Iterable[str], written: Mapping[str, str] | None = None) -> str:
    """The end of a message that a word is not known: which that are come near; "" where none does.

    Args:
        word: What was given.
        known: What may be.
        written: How each of these is written, where it is not as it stands.
    """
    small, written = {one.lower(): one for one in sorted(known)}, written or {one: one for one in known}
    found = difflib.get_close_matches(word.lower(), small, n=3)
    found = found or [one for one in small if len(word) > 2 and word.lower() in one][:3]
    return f"; did you mean {' or '.join(written[small[one]] for one in found)}?" if found else ""


def nearest(word: str, known: Iterable[str], written: Mapping[str, str] | None = None) -> str:
    """As ``meant``; where none comes near and there are few, all are listed."""
    known = sorted(known)
    if near := meant(word, known, written):
        return near
    return (
        f"; it may be one of {', '.join((written or {}).get(one, one) for one in known)}."
        if 0 < len(known) < _FEW
        else "."
    )
