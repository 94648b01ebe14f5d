"""Mistakes in configurations that can be told without an import: YAML, files that are missing, keys that nobody has.

Whatever is in doubt passes: the command's own parser, which knows all, comes after.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lightning_gantk import config_files, yaml_files
from lightning_gantk.command.signatures import parameters
from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest

_GROUPS = {
    "trainer": ("lightning.pytorch.Trainer",),
    "model": ("lightning_gantk.gan.GAN", "lightning_gantk.flows.DiscriminatorFlow"),  # whatever `system` says
    "sample_grid": ("lightning_gantk.callbacks.samples.SampleGrid",),
    "best_checkpoint": ("lightning_gantk.callbacks.checkpoints.BestCheckpoint",),
    "last_checkpoint": ("lightning_gantk.callbacks.checkpoints.LastCheckpoint",),
    "budget": ("lightning_gantk.callbacks.budget.Budget",),
    "save_predictions": ("lightning_gantk.callbacks.predictions.SavePredictions",),
}
_ALONE = ("config", "seed_everything", "system", "data", "name", "ckpt_path", "weights_only")
_OF_A_COMMAND = {"validate": ("verbose",), "test": ("verbose",), "predict": ("return_predictions",)}
_OPTIONS = ("help", "print_config")  # of the command line, not of a file


def checked(words: list[str]) -> list[str]:
    """The words of a run's command, with the files that ``--config`` means in the place of their names.

    Raises:
        ConfigError: At the first mistake.
    """
    command, *rest = words
    known = known_keys(command)
    found, previous = [command], ""
    for word in rest:
        if previous in ("--config", "-c"):
            if not (word := _config(word, known)):
                found.pop()  # an empty file says nothing
                previous = ""
                continue
        elif word.startswith(("--config=", "-c=")):
            option, _, name = word.partition("=")
            if not (path := _config(name, known)):
                continue
            word = f"{option}={path}"
        elif word.startswith("--"):
            _check_option(word[2:].partition("=")[0], known)
        elif not previous.startswith("-") and Path(word).suffix in (".yaml", ".yml"):
            raise ConfigError(f"{word} stands there without an option: a configuration is given by --config {word}.")
        previous = "" if word.startswith("-") and "=" in word else word
        found.append(word)
    if previous in ("--config", "-c"):
        raise ConfigError("--config wants a file, and none is given.")
    return found


def known_keys(command: str) -> dict[str, frozenset[str] | None]:
    """Keys at the top of a run's configuration, each with those below it; None where they cannot be told here."""
    alone: dict[str, frozenset[str] | None] = dict.fromkeys((*_ALONE, *_OF_A_COMMAND.get(command, ())))
    return alone | {key: _all_known(paths) for key, paths in _GROUPS.items()}


def _all_known(paths: tuple[str, ...]) -> frozenset[str] | None:
    """What any of the classes takes; None where that of one cannot be told."""
    found = [parameters(path) for path in paths]
    known = [one for one in found if one is not None]
    return frozenset().union(*known) if len(known) == len(found) else None


def _is_text(name: str) -> bool:
    """Whether a configuration is written out in the place of a file's name."""
    return "\n" in name or (":" in name and not Path(name).exists())


def _config(name: str, known: dict[str, frozenset[str] | None]) -> str:
    """The file that a name means, once what it holds has been looked through; "" for one that is empty."""
    if _is_text(name):
        return name
    path = config_files.find(name)
    settings = yaml_files.read(path, "config")
    if settings is None:
        return ""
    if not isinstance(settings, dict):
        raise ConfigError(f"the config {path} must be a mapping with keys such as model and data, got {settings!r}.")
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"the config {path}: there is no key {key!r}{nearest(str(key), known)}")
        for below in _wrong(value, known[key]):
            near = _near_below(key, below, known[key] or ())
            raise ConfigError(f"the config {path}: there is no key '{key}.{below}'{near}")
        for where, class_path, option, options in _wrong_arguments(value, str(key)):
            name = class_path.rpartition(".")[-1]
            raise ConfigError(f"the config {path}: {where}: {name} has no option {option!r}{nearest(option, options)}")
    return str(path)


def _wrong(value: Any, known: frozenset[str] | None) -> Iterator[str]:
    if isinstance(value, dict) and known is not None:
        yield from (str(key) for key in value if key not in known)


def _wrong_arguments(value: Any, where: str) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Options that a class of this package does not have, wherever one is named below a value."""
    if isinstance(value, list):
        for one in value:
            yield from _wrong_arguments(one, where)
    if not isinstance(value, dict):
        return
    path, given = value.get("class_path"), value.get("init_args")
    if isinstance(path, str) and isinstance(given, dict) and path.startswith(("lightning_gantk.", "datamodules.")):
        options = parameters(path)
        yield from ((where, path, str(key), options) for key in given if options is not None and key not in options)
    for key, inner in value.items():
        yield from _wrong_arguments(inner, where if key == "init_args" else f"{where}.{key}")


def _check_option(key: str, known: dict[str, frozenset[str] | None]) -> None:
    top, *below = key.removesuffix("+").split(".")
    if top in _OPTIONS or top == "no":
        return
    if top not in known:
        raise ConfigError(f"there is no key {top!r}{nearest(top, known)}")
    inner = known[top]
    if below and inner is not None and below[0] not in (*inner, "help", "class_path", "init_args"):
        raise ConfigError(f"there is no key '{top}.{below[0]}'{_near_below(top, below[0], inner)}")


def _near_below(top: str, word: str, known: Iterable[str]) -> str:
    return nearest(word, known, {one: f"{top}.{one}" for one in known})
