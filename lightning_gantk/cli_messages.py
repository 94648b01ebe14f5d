"""What the command line says and does not say."""

import difflib
import importlib
import inspect
import logging
import re
import warnings
from collections.abc import Iterable

from jsonargparse import ArgumentParser

_MODULES = (
    "lightning_gantk.architectures",
    "lightning_gantk.callbacks",
    "lightning_gantk.discriminators",
    "lightning_gantk.generators",
    "lightning_gantk.kernels",
    "lightning_gantk.losses",
    "lightning_gantk.metrics",
    "datamodules",
    "datamodules.targets",
    "torch.optim",
    "torch.optim.lr_scheduler",
)
# What jsonargparse adds when it has tried several types in turn.
_NOISE = re.compile(
    "Expected a path but|Does not validate against any|Subtypes: |Errors:$|Given value type: "
    "|Expected a <class 'NoneType'>|Import path .* does not correspond to a subclass"
)
_HEADING = re.compile(r'^Parser key "[^"]+":\s*|^Problem with given class_path .*')
_UNHELPFUL = (
    "litlogger",
    "LeafSpec",
    "does not have many workers",
    "modules? in eval mode",
    "Checkpoint directory .* exists and is not empty",
    "The number of training batches",
    "callbacks used to create the checkpoint need to be provided",
    "will save all extracted features in buffer",
    "The dirpath has changed from",
    "Unable to serialize instance <function GAN",
)


def quieten() -> None:
    """Silences what Lightning says on every normal run: tips, hardware that is absent, advice that does not apply."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _UNHELPFUL:
        warnings.filterwarnings("ignore", message=f"(?s).*{message}")


def explain(message: str, parser: ArgumentParser, command: str) -> str:
    """One line from an error of jsonargparse: the key, what is wrong with it, and the nearest that would do.

    Args:
        message: Of its ``ArgumentError``.
        parser: Of the command.
        command: "fit", for instance.
    """
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    told = [_HEADING.sub("", line) for line in lines if not _NOISE.match(line)]
    what = "; ".join(dict.fromkeys(line for line in told if line)) or message
    where = ".".join(re.findall(r'Parser key "([^"]+)":', message)).removeprefix(f"{command}.")
    classes = re.findall(r"class_path[= ]'([^']+)'", message)
    return f"{where + ': ' if where else ''}{_in_words(what, classes, parser)}".replace(f" {command}.", " ")


def _in_words(what: str, classes: list[str], parser: ArgumentParser) -> str:
    if found := re.search(r"does not accept option '([^']+)'|unrecognized arguments: --([\w.]+)", what):
        key = found[1] or found[2]
        known = _keys(parser, key)
        return f"there is no key {key!r}{_nearest(key if '.' in next(iter(known)) else key.split('.')[0], known)}"
    if found := re.search(r"Option '([^'.]+)[^']*' is not accepted", what):
        owner = classes[-1] if classes else ""
        return f"{owner.rpartition('.')[-1]} has no option {found[1]!r}{_nearest(found[1], _options(owner))}"
    if found := re.search(r"Expected a dot import path string: ([\w.]+)", what):
        return f"there is no class {found[1]!r}{_nearest(found[1], _classes())}"
    if classes and re.search(r"has no attribute '\w+'|No module named", what):
        return f"there is no class {classes[-1]!r}{_nearest(classes[-1].rpartition('.')[-1], _classes())}"
    return re.sub(r"Expected an? <class '([^']+)'>", r"expected \1", what).replace("; Given value: ", ", got ")


def _nearest(name: str, known: dict[str, str]) -> str:
    found = difflib.get_close_matches(name, known, n=3)
    if found:
        return f"; did you mean {' or '.join(known[near] for near in found)}?"
    return f"; it may be one of {', '.join(known.values())}." if 0 < len(known) < 15 else "."


def _options(class_path: str) -> dict[str, str]:
    module, _, name = class_path.rpartition(".")
    try:
        parameters: Iterable[str] = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    except (ImportError, AttributeError, ValueError):
        return {}
    return {name: name for name in parameters if name not in ("args", "kwargs")}


def _keys(parser: ArgumentParser, wrong: str) -> dict[str, str]:
    """Keys beside the wrong one; those of the top where it has no parent that is known."""
    known = [action.dest for action in parser._actions if action.dest not in ("help", "config")]
    parent = wrong.rpartition(".")[0]
    beside = [key for key in known if "." in key and key.rpartition(".")[0] == parent]
    return {key: key for key in beside or {key.split(".")[0] for key in known}}


def _classes() -> dict[str, str]:
    """Full names of public classes by their own names."""
    found = {}
    for module in _MODULES:
        try:
            package = importlib.import_module(module)
            names = getattr(package, "__all__", None) or [n for n, v in vars(package).items() if inspect.isclass(v)]
        except ImportError:
            continue
        found |= {name: f"{module}.{name}" for name in names if name[0].isupper()}
    return found
