"""What the command line says and does not say."""

import errno
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from types import FrameType

from jsonargparse import ArgumentParser

from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest

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
# What jsonargparse adds when it has tried several types in turn.
_NOISE = re.compile(
    "Expected a path but|Does not validate against any|Subtypes: |Errors:$|Given value type: "
    "|Expected a <class 'NoneType'>|Import path .* does not correspond to a subclass"
)
_PROTOCOLS = {"TimedNetwork": "its forward(x, time) must take samples (N, ...) and numbers (N,)"}
_ARCHITECTURE = (
    ": the configuration names no architecture to keep. Give one, such as "
    "--model.discriminator.init_args.architecture lightning_gantk.architectures.MLP"
)
_HEADING = re.compile(r'^Parser key "[^"]+":\s*|^Problem with given class_path .*')
_LONGEST = 280  # characters of a line
_HUB = str(Path("torch", "hub.py"))


def prepare_help(args: Iterable[str]) -> None:
    """Imports all parts of the package where help is asked for: it lists the classes that have been imported."""
    if not any(word.partition("=")[0] in ("-h", "--help") or word.partition("=")[0].endswith(".help") for word in args):
        return
    for class_path in _classes().values():
        module, _, name = class_path.rpartition(".")
        with suppress(ImportError):
            getattr(importlib.import_module(module), name)


_STORAGE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or ask for a larger quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EACCES: "allow writing there",
    errno.EPERM: "allow writing there",
    errno.EROFS: "choose a folder that can be written to (--trainer.default_root_dir)",
    errno.ENOENT: "it is not there, or has vanished: bring it back",
    errno.ENOTDIR: "a file stands where a folder should be: choose another place (--trainer.default_root_dir)",
    errno.EISDIR: "a folder stands where a file should be: move it away",
    errno.EIO: "the disk or the network behind it fails: see to it",
    errno.ESTALE: "the network file system has lost the folder: mount it again",
}


def explain_storage(error: OSError) -> str | None:
    """One line from an error in writing or reading a file; None for one that is no matter of storage."""
    if error.errno not in _STORAGE:
        return None
    where = f"{error.filename} cannot be written or read" if error.filename else "a file cannot be written or read"
    return (
        f"{where} ({error.strerror}): {_STORAGE[error.errno]}, and go on from the run's last.ckpt (--ckpt_path), which "
        "is whole if it is there; without one start anew."
    )


def explain(message: str, parser: ArgumentParser, command: str) -> str:
    """One line from an error of jsonargparse: the key, what is wrong with it, and the nearest that would do.

    Args:
        message: Of its ``ArgumentError``.
        parser: Of the command.
        command: "fit", for instance.
    """
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    taken = set(re.findall(r"Problem with given class_path '([^']+)'", message))  # by another type
    told = [_HEADING.sub("", line) for line in lines if not _NOISE.match(line) and _refused(line) not in taken]
    told = [line for line in told if line]
    if all(line.startswith("Given value: ") for line in told):  # of several types each has refused the class
        told = [line for line in lines if _refused(line) not in (None, *taken)] or told
    what = "; ".join(dict.fromkeys(told)) or message
    where = ".".join(re.findall(r'Parser key "([^"]+)":', message)).removeprefix(f"{command}.")
    classes = re.findall(r"class_path[= ]'([^']+)'", message)
    values = re.findall(r"(?:Given|Got) value: ([A-Za-z_][\w.]+)", message)
    told = next(filter(None, map(_import_fault, [*values, *reversed(classes)])), None) or _in_words(
        what, classes, parser
    )
    return shortened(_plain(f"{where + ': ' if where else ''}{told}".replace(f" {command}.", " ")))


def _refused(line: str) -> str | None:
    """The class that a line says is none of a kind."""
    found = re.match(r"Import path ([\w.]+) does not (?:correspond to a subclass of|implement protocol)", line)
    return found and found[1]


def shortened(text: str) -> str:
    """One line of at most 280 characters: of a longer one the beginning and the end."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 90]} [...] {line[-80:]}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it comes from: the parser wraps what goes wrong in an argument."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


def explain_own(error: BaseException) -> str | None:
    """One line from an error in code of the user's own, with file and line; None for one of ours or of a library."""
    for cause in causes(error):
        frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if _is_own(frame.filename)]
        if frames:
            return shortened(f"{type(cause).__name__} in {frames[-1].filename}, line {frames[-1].lineno}: {cause}")
    return None


def explain_metric(error: BaseException) -> str | None:
    """One line from a metric of torchmetrics that could not fetch or read its network; None for any other error."""
    for cause in causes(error):
        frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        hub = [frame for frame in frames if frame.f_code.co_filename.endswith(_HUB)]
        if not hub and not isinstance(cause, OSError | HTTPException):
            continue
        for maker in (type(frame.f_locals.get("self")) for frame in frames):
            if any(base.__module__.startswith("torchmetrics.") for base in maker.__mro__):
                reason = (" ".join(str(cause).split()) or type(cause).__name__)[:80]
                wrong = f"{maker.__name__} cannot get the network that it measures with ({reason})"
                return f"{wrong}: {_cure(hub, cause)}; or use EnergyDistance or Sinkhorn, which download nothing."
    return None


def _cure(hub: list[FrameType], cause: BaseException) -> str:
    """What helps against a network that could not be had, by the frames inside torch.hub."""
    if isinstance(cause, OSError | HTTPException):
        return "run once with a network connection, after which it is in the cache"
    cached = next((frame.f_locals["cached_file"] for frame in hub if "cached_file" in frame.f_locals), None)
    if cached is not None and Path(cached).exists():
        return f"{cached} is damaged, remove it and run again"
    return "another file arrived than was meant, run again"


def _is_own(file: str) -> bool:
    """Whether a file is neither Python's, nor installed, nor of this package."""
    package = Path(__file__).parent
    places = (sys.prefix, sys.base_prefix, str(package), str(package.parent / "datamodules"), "<")
    return not file.startswith(places) and "site-packages" not in file


def _import_fault(class_path: str) -> str | None:
    """What is wrong inside the user's file that a class is to come from; None where nothing is."""
    module, _, name = class_path.rpartition(".")
    if not module or module.startswith("torch"):
        return None
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return None  # there is no such file
        return f"{class_path} cannot be imported: {module} imports {error.name!r}, which is not installed."
    except SyntaxError as error:
        return f"{class_path} cannot be imported: {error.filename}, line {error.lineno}: {error.msg}"
    except Exception as error:
        return f"{class_path} cannot be imported: {explain_own(error) or repr(error)}"
    missing = sorted(getattr(getattr(found, name, None), "__abstractmethods__", ()))
    return f"{class_path} is unfinished: it does not implement {', '.join(missing)}." if missing else None


def _plain(text: str) -> str:
    """Without the names of Python's and the parser's types."""
    text = re.sub(r"NestedArg\(key='[^']*', val='?([^')]*)'?\)", r"\1", text)
    text = re.sub(r"Namespace\(class_path='([^']+)'[^)]*\)", r"\1", text)
    text = re.sub(
        r"(?:Expected an? |expected )?typing\.Literal\[([^\]]*)\]", lambda found: f"expected {_listed(found[1])}", text
    )
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
    text = re.sub(r"\btyping\.|\bcollections\.abc\.", "", text)
    text = re.sub(r"(?:; )expected (?='|(?:bool|int|float|str)\b)", " or ", text)
    return re.sub(r"\.? Got value: ([^,]+), got \1$", r", got \1", text).replace(". Got value: ", ", got ")


def _listed(values: str) -> str:
    return " or ".join(values.split(", "))


def _in_words(what: str, classes: list[str], parser: ArgumentParser) -> str:
    if found := re.search(r"does not accept option '([^']+)'|unrecognized arguments: --([\w.]+)", what):
        key = found[1] or found[2]
        known = _keys(parser, key)
        return f"there is no key {key!r}{nearest(key if '.' in known[0] else key.split('.')[0], known)}"
    if found := re.search(r"Option '([^'.]+)[^']*' is not accepted", what):
        owner = classes[-1] if classes else ""
        return f"{owner.rpartition('.')[-1]} has no option {found[1]!r}{nearest(found[1], _options(owner))}"
    if (found := re.search(r"Expected a dot import path string: (\w+)", what)) and "<class 'float'>" in what:
        return f"expected a number, got {found[1]}"
    if found := re.search(r"Expected a dot import path string: ([\w.]+)", what):
        return _absent(found[1])
    if classes and re.search(r"has no attribute '\w+'|No module named", what):
        return _absent(classes[-1])
    if found := re.search(r"Import path ([\w.]+) does not implement protocol (\w+)", what):
        return f"{found[1]} is no {found[2]}: {_PROTOCOLS.get(found[2], 'its methods take other arguments')}"
    if found := re.search(r"the following arguments are required: (architecture\b.*)", what):
        return f"required: {found[1]}{_ARCHITECTURE}"
    if found := re.search(r"expects a function or a callable class: module '([\w.]+)' has no attribute '(\w+)'", what):
        return _absent(f"{found[1]}.{found[2]}")
    for refusal in (
        r"Expected '([^']+)' to be a subclass of <class '(\w+)'>",
        r"Import path ([\w.]+) does not correspond to a subclass of (\w+)",
    ):
        if found := re.search(refusal, what):
            return _of_another_kind(found[1], [found[2]])
    if kinds := re.findall(r"Import path does not (?:correspond to a subclass of|implement protocol) (\w+)", what):
        given = what.rpartition(" ")[2]
        if "Quality" in kinds and given.startswith("torchmetrics."):
            return f"{given} is a metric of torchmetrics: give it as lightning_gantk.metrics.TorchMetric(metric=...)."
        return _of_another_kind(given, kinds)
    return re.sub(r"Expected an? <class '([^']+)'>", r"expected \1", what).replace("; Given value: ", ", got ")


def _of_another_kind(class_path: str, kinds: list[str]) -> str:
    """What a class is none of; a kernel in the place of an architecture has a key of its own."""
    told = f"{class_path} is no {' or '.join(kinds)}"
    if "Architecture" not in kinds or "." not in class_path:
        return told
    from lightning_gantk.kernels.base import Kernel

    module, _, name = class_path.rpartition(".")
    found = getattr(importlib.import_module(module), name, None)
    return f"{told}; a kernel is given as 'kernel'" if inspect.isclass(found) and issubclass(found, Kernel) else told


def _absent(class_path: str) -> str:
    """What is not there: a class, or already the file that it should be in."""
    module, _, name = class_path.rpartition(".")
    file = module.partition(".")[0]
    if file and file not in sys.modules and importlib.util.find_spec(file) is None:
        meant = f"; did you mean {known[name]}?" if name in (known := _classes()) else "."
        places = "neither in this folder nor in those of PYTHONPATH"
        return f"there is no module {file!r} for {class_path}: {file}.py lies {places}{meant}"
    known = _classes()
    return f"there is no class {class_path!r}{nearest(name, known, known)}"


def _options(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    try:
        parameters: Iterable[str] = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    except (ImportError, AttributeError, ValueError):
        return []
    return [name for name in parameters if name not in ("args", "kwargs")]


def _keys(parser: ArgumentParser, wrong: str) -> list[str]:
    """Keys beside the wrong one; those of the top where it has no parent that is known."""
    known = [key for key in parser.get_defaults().keys(branches=True) if key != "config"]
    parent = wrong.rpartition(".")[0]
    beside = [key for key in known if "." in key and key.rpartition(".")[0] == parent]
    return beside or sorted({key.split(".")[0] for key in known})


def _classes() -> dict[str, str]:
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
