"""The runs that a specification asks for: combinations times seeds, each with a name that stays the same."""

import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gantk import yaml_files
from lightning_gantk.compare.plan.choices import Choice
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.errors import ConfigError


@dataclass(frozen=True)
class Run:
    """One run: a combination of choices, and a seed.

    Attributes:
        cell: Name of the combination; runs of a cell differ in the seed alone.
        seed: Of the run.
        layers: What is laid over each other, in order.
        digest: Of what the layers hold and of the seed: the same run keeps it when names, comments or paths change, and
            one whose configuration was changed is another run.
    """

    cell: str
    seed: int
    layers: tuple[Choice, ...]
    digest: str

    @property
    def slug(self) -> str:
        """Name of its folder: for people what comes first, for the program the digest at the end."""
        return f"{re.sub(r'[^A-Za-z0-9.=]+', '_', self.cell).strip('_')[:60]}-seed{self.seed}-{self.digest}"

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.cell}, seed {self.seed}"


def runs_of(specification: Specification) -> list[Run]:
    """All runs, cell by cell.

    Raises:
        ConfigError: If two cells are the same, in name or in what they hold.
    """
    contents: dict[Path, Any] = {}
    found: list[Run] = []
    cells: dict[str, str] = {}
    for combination in itertools.product(*specification.axes):
        cell = ", ".join(choice.name for choice in combination) or specification.base.name
        layers = (specification.base, *combination)
        held = [_held(layer, contents) for layer in layers]
        key = json.dumps(held, sort_keys=True, default=str)
        if key in cells:
            raise ConfigError(f"the runs {cells[key]!r} and {cell!r} of {specification.path} are the same.")
        if cell in cells.values():
            raise ConfigError(f"two runs of {specification.path} have the name {cell!r}.")
        cells[key] = cell
        for seed in specification.seeds:
            found.append(Run(cell, seed, layers, hashlib.sha256(f"{key} {seed}".encode()).hexdigest()[:10]))
    return found


def cells_of(runs: list[Run]) -> list[str]:
    """The cells in the specification's order."""
    return list(dict.fromkeys(run.cell for run in runs))


def arguments(run: Run, configs: Path | None = None) -> list[str]:
    """Words for ``train.py fit``: the run's layers, and its seed.

    Args:
        run: It.
        configs: Folder with the copies that ``copy_configs`` made; the files themselves where none is given.
    """
    words: list[str] = []
    files = iter(_copies(run, configs)) if configs is not None else None
    for layer in run.layers:
        words += [f"--config={path if files is None else next(files)}" for path in layer.configs]
        words += [f"--{key}={_word(value)}" for key, value in layer.settings]
    return [*words, f"--seed_everything={run.seed}"]


def copy_configs(run: Run, folder: Path) -> None:
    """Keeps the run's files, so that a file that is edited later does not change a run that waits, or goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = [path for layer in run.layers for path in layer.configs]
    for original, copy in zip(originals, _copies(run, folder), strict=True):
        copy.write_bytes(original.read_bytes())


def _copies(run: Run, folder: Path) -> list[Path]:
    originals = [path for layer in run.layers for path in layer.configs]
    return [folder / f"{place}_{original.name}" for place, original in enumerate(originals)]


def _held(layer: Choice, contents: dict[Path, Any]) -> list[Any]:
    for path in layer.configs:
        if path not in contents:
            contents[path] = yaml_files.read(path, "config")
    return [[contents[path] for path in layer.configs], layer.settings]


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
