"""Classes that a configuration names and that are not there: what is missing, and what comes near."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable

from lightning_gantk.errors import ConfigError
from lightning_gantk.words import meant, nearest

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
    "lightning.pytorch.loggers",
    "torch.optim",
    "torch.optim.lr_scheduler",
)


def classes() -> dict[str, str]:
    """Full names of public classes by their own names."""
    found = {}
    for module in _MODULES:
        try:
            package = importlib.import_module(module)
            names = getattr(package, "__all__", None) or [n for n, v in vars(package).items() if inspect.isclass(v)]
        except (ImportError, ConfigError):  # JAX may be absent
            continue
        found |= {name: f"{module}.{name}" for name in names if name[0].isupper()}
    return found


def absent(path: str, *, kind: str = "class") -> str:
    """What is not there: a class, or already the module that it should be in.

    Args:
        path: As ``my_file.MyGenerator``.
        kind: "class" or "function".
    """
    module, _, name = path.rpartition(".")
    known = classes() if kind == "class" else {}
    if module and (missing := _missing(module)) is not None:
        return f"there is no module {missing!r} for {path}: {_why(missing)}{_instead(missing, path, known) or '.'}"
    own = {one: f"{module}.{one}" for one in _defined_in(module, kind)} if module not in ("", *_MODULES) else {}
    near = meant(name, own, own) or meant(name, known, known)
    return f"there is no {kind} {path!r}{near or nearest(name, own or known, own or known)}"


def _missing(module: str) -> str | None:
    """The first part of a module's path that is not there; None where all of it is."""
    top, *below = module.split(".")
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        return top
    for part in below:
        whole = f"{top}.{part}"
        try:
            importlib.import_module(whole)
        except ModuleNotFoundError as error:
            return whole if error.name == whole and not hasattr(sys.modules[top], part) else None
        top = whole
    return None


def _why(missing: str) -> str:
    parent, _, part = missing.rpartition(".")
    if not parent:
        return f"{part}.py lies neither in this folder nor in those of PYTHONPATH"
    return f"{parent} has no {part}" if hasattr(sys.modules[parent], "__path__") else f"{parent} is a single file"


def _instead(missing: str, path: str, known: dict[str, str]) -> str:
    """What may have been meant by a path whose module is missing: a class of ours, or a module that comes near."""
    parent, _, part = missing.rpartition(".")
    name = path.rpartition(".")[-1]
    if name in known:
        return f"; did you mean {known[name]}?"
    if parent and not hasattr(sys.modules[parent], "__path__"):
        own = {one: f"{parent}.{one}" for one in _defined_in(parent, "class")}
        return meant(name, own, own)
    # Of all that is installed most would be named by chance.
    places = sys.modules[parent].__path__ if parent else ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    rest = path.removeprefix(missing)
    beside = [one.name for one in pkgutil.iter_modules([place or os.curdir for place in places])]
    return meant(part, beside, {one: f"{parent}.{one}{rest}".lstrip(".") for one in beside})


def _defined_in(module: str, kind: str) -> list[str]:
    """Public names of the classes, or functions, that a module has of its own and not from other packages."""
    is_one: Callable[[object], bool] = inspect.isclass if kind == "class" else inspect.isfunction
    found = importlib.import_module(module)
    top = module.partition(".")[0]
    own = (
        name
        for name, value in vars(found).items()
        if is_one(value) and (value.__module__ or "").partition(".")[0] == top
    )
    return sorted(name for name in own if not name.startswith("_"))
