"""The runs that a specification asks for: combinations times seeds, each with a name that stays the same."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gantk import files
from lightning_gantk.compare.plan.choices import Choice, ConfigFile
from lightning_gantk.compare.plan.search import Space
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.errors import ConfigError


@dataclass(frozen=True)
class Cell:
    """A combination of choices.

    Attributes:
        name: As tables show it.
        layers: What is laid over each other, in order.
        key: What the layers hold.
        space: Where values for one more layer are searched.
    """

    name: str
    layers: tuple[Choice, ...]
    key: str
    space: Space = ()

    def run(self, seed: int, *, trial: int | None = None) -> "Run":
        """Its run with a seed."""
        digest = hashlib.sha256(f"{self.key} {seed}".encode()).hexdigest()[:10]
        return Run(self.name, seed, self.layers, digest, trial)

    def at(self, values: Mapping[str, Any]) -> "Cell":
        """The cell with values of its space."""
        layer = Choice("search", (), tuple(values.items()))
        return _cell(self.name, (*self.layers, layer))


@dataclass(frozen=True)
class Run:
    """One run: a combination of choices, and a seed.

    Attributes:
        cell: Name of the combination; runs of a cell differ in the seed alone, but for the trials of its search.
        seed: Of the run.
        layers: What is laid over each other, in order.
        digest: Of what the layers hold and of the seed: the same run keeps it when names, comments or paths change, and
            one whose configuration was changed is another run.
        trial: Its number among the trials of a search; None for a run that is compared.
    """

    cell: str
    seed: int
    layers: tuple[Choice, ...]
    digest: str
    trial: int | None = None

    @property
    def slug(self) -> str:
        """Name of its folder: for people what comes first, for the program the digest at the end."""
        return f"{re.sub(r'[^A-Za-z0-9.=]+', '_', self.cell).strip('_')[:60]}-seed{self.seed}-{self.digest}"

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.cell}, {self.which}"

    @property
    def which(self) -> str:
        """Which run of its cell."""
        return f"seed {self.seed}" if self.trial is None else f"trial {self.trial}"


def cells(specification: Specification) -> list[Cell]:
    """All combinations.

    Raises:
        ConfigError: If two are the same, in name or in what they hold.
    """
    found: dict[str, Cell] = {}
    last = () if specification.budget is None else (specification.budget,)
    shared = () if specification.search is None else specification.search.space
    for combination in itertools.product(*specification.axes):
        name = ", ".join(choice.name for choice in combination) or specification.base.name
        one = _cell(name, (specification.base, *combination, *last), shared)
        if one.key in found:
            raise ConfigError(f"the runs {found[one.key].name!r} and {name!r} of {specification.path} are the same.")
        if name in (other.name for other in found.values()):
            raise ConfigError(f"two runs of {specification.path} have the name {name!r}.")
        found[one.key] = one
    return list(found.values())


def _cell(name: str, layers: tuple[Choice, ...], shared: Space = ()) -> Cell:
    held = [[[file.held for file in layer.configs], layer.settings] for layer in layers]
    space = dict(shared)
    for layer in layers:
        space |= dict(layer.space)
    return Cell(name, layers, json.dumps(held, sort_keys=True, default=str), tuple(space.items()))


def runs_of(specification: Specification) -> list[Run]:
    """All runs of the specification as it stands, cell by cell; what a search finds is left out.

    Raises:
        ConfigError: If two cells are the same, in name or in what they hold.
    """
    return [cell.run(seed) for cell in cells(specification) for seed in specification.seeds]


def arguments(run: Run, configs: Path | None = None) -> list[str]:
    """Words for ``train.py fit``: the run's layers, and its seed.

    Args:
        run: The run.
        configs: Folder with the copies that ``copy_configs`` made; the files themselves where none is given.
    """
    words: list[str] = []
    copies = iter(_copies(run, configs)) if configs is not None else None
    for layer in run.layers:
        words += [f"--config={file.path if copies is None else next(copies)}" for file in layer.configs]
        words += [f"--{key}={_word(value)}" for key, value in layer.settings]
    return [*words, f"--seed_everything={run.seed}"]


def copy_configs(run: Run, folder: Path) -> None:
    """Keeps the run's files, so that a file that is edited later does not change a run that waits, or goes on.

    Copies that are there say the same, or they were other runs; one that is not whole is made good.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, copy in zip(_files(run), _copies(run, folder), strict=True):
        files.write_text(copy, file.text)


def _files(run: Run) -> list[ConfigFile]:
    return [file for layer in run.layers for file in layer.configs]


def _copies(run: Run, folder: Path) -> list[Path]:
    return [folder / f"{place}_{file.path.name}" for place, file in enumerate(_files(run))]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else _yaml(value)


def _yaml(value: Any) -> str:
    """JSON, which YAML is too but for its infinities."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)
