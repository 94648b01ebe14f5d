"""Settings that came with a checkpoint and that nobody has asked for by name: which code they may call."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
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
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_LARGEST = 2**20  # bytes of a file that may be a configuration too


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
    except (OSError, ValueError, yaml.YAMLError) as error:
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
    foreign = sorted(set(_foreign(settings, folder)) - trusted)
    if foreign:
        raise ConfigError(
            f"{source} names {', '.join(foreign[:3])}{' and others' if len(foreign) > 3 else ''}: code outside of "
            "lightning_gantk and the libraries that it builds on, which a checkpoint alone does not call. If it is "
            f"yours, or you trust it, add {cure or '--config with the configuration of the run'}."
        )


def _foreign(settings: Any, folder: Path | None) -> Iterator[str]:
    for text in _texts(settings):
        yield from (name for name in _DOTTED.findall(text) if not name.startswith(_KNOWN) and _is_module(name))
        if (inner := _configuration(text, folder)) is not None:
            yield from _foreign(inner, None)


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


def _configuration(text: str, folder: Path | None) -> Any:
    """What a file holds that stands for settings; None where the text names none."""
    for path in (Path(text), *([] if folder is None else [folder / text])):
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                found = yaml.safe_load(path.read_text())
                return found if isinstance(found, dict | list) else None
        except (OSError, ValueError, yaml.YAMLError):
            continue
    return None
