"""YAML as this project writes it: a key stands once, and ``1e-3`` is a number."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from lightning_gantk.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; that takes the last of two equal keys without a word and ``1e-3`` for text."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *other`, whose keys those of the mapping override
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is no word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands there twice", key_node.start_mark)
            seen.add(key)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)$|^[-+]?(?:\d+\.\d*|\.\d+)$|^[-+]?\.(?:inf|nan)$"),
    list("-+0123456789."),
)


def read(path: Path, what: str) -> Any:
    """Gives what a YAML file holds.

    Args:
        path: Of the file.
        what: It is, for the message.

    Raises:
        ConfigError: If it is missing or no YAML.
    """
    return parsed(text_of(path, what), path, what)


def text_of(path: Path, what: str) -> str:
    """Gives the text of a file.

    Args:
        path: Of the file.
        what: It is, for the message.

    Raises:
        ConfigError: If it is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {what} {path}.") from error
    except IsADirectoryError as error:
        raise ConfigError(f"the {what} {path} is a folder: name a file in it.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the {what} {path} is no text, and so no YAML.") from error
    except OSError as error:
        raise ConfigError(f"the {what} {path} cannot be read: {error}.") from error


def parsed(text: str, path: Path, what: str) -> Any:
    """Gives what the text of a file holds.

    Args:
        text: Of the file.
        path: Of it, for the message.
        what: It is, for the message.

    Raises:
        ConfigError: If it is no YAML.
    """
    try:
        found = yaml.load(text, _Loader)
        json.dumps(found, default=str)  # of what holds itself there is no end
        return found
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"the {what} {path} cannot be read: {error}.") from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"the {what} {path} is no text, and so no YAML.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"the {what} {path}{where}: {getattr(error, 'problem', error)}.") from error
