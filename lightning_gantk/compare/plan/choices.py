"""Choices on the axes of a comparison: files and values that change a configuration."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gantk import config_files, yaml_files
from lightning_gantk.compare.plan.checks import first_twice
from lightning_gantk.compare.plan.search import Space, space_of
from lightning_gantk.errors import ConfigError

_TAKEN = {
    "seed_everything": "give 'seeds' instead",
    "name": "it is the comparison's to set",
    "config": "give 'configs' instead",
    "ckpt_path": "it is the comparison's to set",
    "trainer.default_root_dir": "give 'folder' instead",
    "trainer.logger": "the report reads TensorBoard's logs",
}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\+?$")


@dataclass(frozen=True)
class ConfigFile:
    """A file for ``--config``, as it was when the specification was read: an edit after that changes no run of it.

    Attributes:
        path: Where it was.
        text: Of it.
        held: What the text says.
    """

    path: Path
    text: str
    held: Any


@dataclass(frozen=True)
class Choice:
    """One way to change a configuration.

    Attributes:
        name: As tables show it.
        configs: Files for ``--config``, in order.
        settings: Values by dotted key, set after the files.
        space: Where values are searched that are set after those.
    """

    name: str
    configs: tuple[ConfigFile, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    space: Space = ()


def named(given: Any, here: Path) -> tuple[Choice, ...]:
    """The axis of named combinations."""
    return _choices(given, here, "'runs'")


def product(given: Any, here: Path) -> list[tuple[Choice, ...]]:
    """The axes of a grid."""
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"'grid' must be a mapping of axes, got {given!r}.")
    short = {key: str(key).rpartition(".")[-1] for key in given}
    axes = []
    for key, values in given.items():
        if isinstance(values, dict):
            axes.append(_choices(values, here, f"axis {key!r} of 'grid'"))
            continue
        if not isinstance(values, list) or not values:
            raise ConfigError(f"axis {key!r} of 'grid' has no values: give a list of at least one.")
        label = short[key] if list(short.values()).count(short[key]) == 1 else key
        if (twice := first_twice(values)) is not None:
            raise ConfigError(f"axis {key!r} of 'grid' has the value {_told(twice)} twice.")
        told = [_told(value) for value in values]
        told = [str(value) if told.count(short) > 1 else short for value, short in zip(values, told, strict=True)]
        changes = [settings_of({key: value}, "'grid'") for value in values]
        axes.append(tuple(Choice(f"{label}={one}", (), change) for one, change in zip(told, changes, strict=True)))
    return axes


def _choices(given: Any, here: Path, where: str) -> tuple[Choice, ...]:
    """Named changes, each a mapping of dotted keys with ``configs`` and ``search`` beside them."""
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"{where} has no values: give a mapping of names to changes.")
    choices = []
    for name, changes in given.items():
        inside = f"{name!r} of {where}"
        if changes is not None and not isinstance(changes, dict):
            raise ConfigError(
                f"{inside} must be a mapping of dotted keys, with 'configs' and 'search' beside them, got {changes!r}."
            )
        settings = dict(changes or {})
        configs = configs_of(settings.pop("configs", []), here, f"'configs' of {inside}")
        space = space_of(settings.pop("search", {}), f"'search' of {inside}")
        settings_of(dict(space), f"'search' of {inside}")  # for the keys alone
        choices.append(Choice(str(name), configs, settings_of(settings, inside), space))
    return tuple(choices)


def configs_of(given: Any, here: Path, where: str) -> tuple[ConfigFile, ...]:
    """The files named: beside the specification, or else of those that come with the package, by their short names."""
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ConfigError(f"{where} must be a file or a list of files, got {given!r}.")
    paths = [_file(one, here, where) for one in given]
    texts = [yaml_files.text_of(path, "config") for path in paths]
    return tuple(
        ConfigFile(path, text, yaml_files.parsed(text, path, "config")) for path, text in zip(paths, texts, strict=True)
    )


def _file(name: str, here: Path, where: str) -> Path:
    path = here / name
    if path.is_file():
        return path
    if (shipped := config_files.shipped(name)) is not None:
        return shipped
    hint = config_files.hint(name)
    raise ConfigError(f"{where}: there is no file {path} (paths are relative to the specification){hint}")


def settings_of(given: Any, where: str) -> tuple[tuple[str, Any], ...]:
    """Values by dotted key."""
    if not isinstance(given, dict):
        raise ConfigError(f"{where} must be a mapping of dotted keys, got {given!r}.")
    for key in given:
        if not isinstance(key, str) or not _DOTTED.match(key):
            raise ConfigError(f"{where}: {key!r} is no dotted key, such as trainer.max_steps.")
        if key in _TAKEN:
            raise ConfigError(f"{where} must not set {key!r}: {_TAKEN[key]}.")
    return tuple(given.items())


def _told(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"]).rpartition(".")[-1]
    if isinstance(value, str) and re.fullmatch(r"(\w+\.)+[A-Z]\w*", value):
        return value.rpartition(".")[-1]
    return f"{value:g}" if isinstance(value, float) else str(value)
