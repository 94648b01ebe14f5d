"""Values of a specification that a file named later undoes. That is allowed, and easily overlooked."""

import itertools
from collections.abc import Iterator
from typing import Any

from lightning_gantk.compare.plan.choices import Choice
from lightning_gantk.compare.plan.runs import Cell

_NOTHING = object()


def undone(cells: list[Cell]) -> list[str]:
    """One line for each: the choice, its file and the value there, and the value that was said before."""
    return list(dict.fromkeys(line for cell in cells for line in _of(cell.layers)))


def _of(layers: tuple[Choice, ...]) -> Iterator[str]:
    for place, layer in enumerate(layers):
        later = layers[place + 1 :]
        said_again = {key for choice in later for key, _ in choice.settings}
        files = [(choice.name, file) for choice in later for file in choice.configs]
        for (key, value), (name, file) in itertools.product(layer.settings, files):
            found = _at(file.held, key)
            if key not in said_again and found is not _NOTHING and found != value:
                yield (
                    f"{name}: {file.path.name} has {key}: {found!r} where {value!r} was said before it. To keep the "
                    "latter say it in the run itself."
                )


def _at(content: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        if not isinstance(content, dict) or part not in content:
            return _NOTHING
        content = content[part]
    return content
