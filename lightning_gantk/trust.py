"""Settings that came with a checkpoint and that nobody has asked for by name: which code they may call."""

import codecs
import importlib
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from lightning_gantk.errors import ConfigError

# A configuration names classes and functions, and to name one is to run its module. These hold parts of a run alone.
_KNOWN = (
    "lightning_gantk.",
    "datamodules.",
    "lightning.pytorch.",
    "torch.nn.",
    "torch.optim.",
)
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_SCHEME = re.compile("^file:///?")
_LARGEST = 2**20  # bytes of a text that is looked through


def read_here_alone() -> None:
    """Keeps jsonargparse from fetching settings from addresses: Lightning has it take whatever fsspec can open."""
    from jsonargparse import set_parsing_settings

    set_parsing_settings(config_read_mode_urls_enabled=False, config_read_mode_fsspec_enabled=False)


def refuse_foreign_file(config: Path, *, cure: str | None = None) -> None:
    """Refuses a run's configuration that names code outside this package and the libraries that it builds on.

    Args:
        config: The file.
        cure: What a user who trusts it is to add; the file itself where nothing else is said.

    Raises:
        ConfigError: If it does, or cannot be read.
    """
    try:
        settings = yaml.safe_load(config.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{config} cannot be read: {' '.join(str(error).split())[:200]}") from error
    refuse_foreign(settings, str(config), folder=config.parent, cure=cure or f"--config {config}")


def refuse_foreign(
    settings: Any, source: str, *, folder: Path | None = None, asked_for: Any = None, cure: str | None = None
) -> None:
    """The same for settings that were read.

    Args:
        settings: Nested mappings and lists.
        source: Where they come from.
        folder: In which files that they name are looked for, beside the working directory.
        asked_for: Settings that the user gave; what these name is trusted.
        cure: What a user who trusts them is to add.

    Raises:
        ConfigError: If they name other code.
    """
    trusted = set() if asked_for is None else {name for text in _texts(asked_for) for name in _DOTTED.findall(text)}
    try:
        foreign = sorted(set(_foreign(settings, folder)) - trusted)
    except RecursionError as error:
        raise ConfigError(f"{source} holds itself, or files that name each other.") from error
    if foreign:
        raise ConfigError(
            f"{source} names {', '.join(foreign[:3])}{' and others' if len(foreign) > 3 else ''}: code outside of "
            "lightning_gantk and the libraries that it builds on, which a checkpoint alone does not call. If it is "
            f"yours, or you trust it, add {cure or '--config with the configuration of the run'}."
        )


def _foreign(settings: Any, folder: Path | None) -> Iterator[str]:
    for text in _texts(settings):
        yield from (name for name in _DOTTED.findall(text) if _is_module(name) and not _is_known(name))
        for path in _files(text, folder):
            if path.stat().st_size <= _LARGEST:
                yield from _foreign(_configuration(path), path.parent)
            elif _is_text(path):
                yield f"{path}, a text too long to be looked through"


def _texts(settings: Any) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict):
        for key, value in settings.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _texts(value)


def _is_module(name: str) -> bool:
    """Whether it could be imported: file names have dots as well. Looking for the first part runs nothing."""
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return True


def _is_known(name: str) -> bool:
    """Whether it is a part of what is known, and no way through it to something else (``lightning_gantk.files.os``)."""
    if not name.startswith(_KNOWN):
        return False
    module, *rest = name.split(".")
    try:
        while rest and _is_submodule(f"{module}.{rest[0]}"):
            module = f"{module}.{rest.pop(0)}"
        found: Any = importlib.import_module(module)
        for part in rest:
            found = getattr(found, part)
            home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
            if not f"{home}.".startswith(_KNOWN):
                return False
    except (ImportError, AttributeError, ValueError):
        return True  # there is no such thing to call
    return True


def _is_submodule(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what it would be in is no package
        return False


def _files(text: str, folder: Path | None) -> Iterator[Path]:
    """The files that a text may name, as jsonargparse takes it."""
    name = os.path.expanduser(_SCHEME.sub("/", text))
    for path in (Path(name), *([] if folder is None else [folder / name])):
        try:
            if path.is_file():
                yield path
        except (OSError, ValueError):
            continue


def _configuration(path: Path) -> Any:
    """What a file holds that may stand for settings; None where it is no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            codecs.getincrementaldecoder("utf-8")().decode(file.read(1024))
    except (OSError, ValueError):
        return False
    return True
