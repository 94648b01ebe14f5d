"""What the command line says and does not say."""

import errno
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import FrameType

from lightning_gantk.cli_classes import absent, classes
from lightning_gantk.words import meant, nearest

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
_NO_FUNCTION = re.compile(
    r"expects a function or a callable class: (?:module .* has no attribute|No module named)"
    r".*?(?:Given|Got) value: ([\w.]+)"
)
_HUB = str(Path("torch", "hub.py"))


def prepare_help(args: Iterable[str]) -> None:
    """Imports all parts of the package where help is asked for: it lists the classes that have been imported."""
    if not any(word.partition("=")[0] in ("-h", "--help") or word.partition("=")[0].endswith(".help") for word in args):
        return
    for class_path in classes().values():
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


@dataclass(frozen=True)
class Keys:
    """What a command takes.

    Attributes:
        known: Its keys, those inside others with a dot.
        system: What it trains, where it trains something.
        others: Keys that only another system has, and which.
    """

    known: Iterable[str]
    system: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


def explain(message: str, keys: Keys, command: str) -> str:
    """One line from an error of jsonargparse: the key, what is wrong with it, and the nearest that would do.

    Args:
        message: Of its ``ArgumentError``.
        keys: Of the command.
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
    paths = re.findall(r"class_path[= ]'([^']+)'", message)
    values = re.findall(r"(?:Given|Got) value: ([A-Za-z_][\w.]+)", message)
    told = next(filter(None, map(_import_fault, [*values, *reversed(paths)])), None) or _in_words(what, paths, keys)
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


def _in_words(what: str, paths: list[str], keys: Keys) -> str:
    if found := re.search(r"does not accept option '([^']+)'|unrecognized arguments: --([\w.]+)", what):
        return _no_key(found[1] or found[2], keys)
    if found := re.search(r"Option '([^'.]+)[^']*' is not accepted", what):
        owner = paths[-1] if paths else ""
        return f"{owner.rpartition('.')[-1]} has no option {found[1]!r}{nearest(found[1], _options(owner))}"
    function = re.search(_NO_FUNCTION, what)
    path = re.search(r"Expected a dot import path string: ([\w.]+)", what)
    if path and "<class 'float'>" in what:
        return f"expected a number, got {path[1]}{meant(path[1], known := classes(), known)}"
    if given := function or path:
        return _not_there(given[1], what, imported=function is not None)
    if paths and re.search(r"has no attribute '\w+'|No module named", what):
        return absent(paths[-1])
    if found := re.search(r"Import path ([\w.]+) does not implement protocol (\w+)", what):
        return f"{found[1]} is no {found[2]}: {_PROTOCOLS.get(found[2], 'its methods take other arguments')}"
    if found := re.search(r"the following arguments are required: (architecture\b.*)", what):
        return f"required: {found[1]}{_ARCHITECTURE}"
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


def _not_there(word: str, what: str, *, imported: bool) -> str:
    """Of a class or a function that is not there, where some words may stand too it may be one of these misspelt.

    Args:
        word: That was given.
        what: What jsonargparse says of it.
        imported: Whether it was taken for a function's import path.
    """
    kind = "function" if imported and word.rpartition(".")[-1][:1].islower() else "class"
    if (listed := re.search(r"typing\.Literal\[([^\]]*)\]", what)) is None:
        return absent(word, kind=kind)
    if imported:
        return f"expected {_listed(listed[1])} or a function: {absent(word, kind=kind)}"
    near = meant(word, names := re.findall(r"'([^']*)'", listed[1]), {one: repr(one) for one in names})
    return f"expected {_listed(listed[1])} or a function's import path, got {word}{near}"


def _of_another_kind(class_path: str, kinds: list[str]) -> str:
    """What a class is none of; a kernel in the place of an architecture has a key of its own."""
    told = f"{class_path} is no {' or '.join(kinds)}"
    if "Architecture" not in kinds or "." not in class_path:
        return told
    from lightning_gantk.kernels.base import Kernel

    module, _, name = class_path.rpartition(".")
    found = getattr(importlib.import_module(module), name, None)
    return f"{told}; a kernel is given as 'kernel'" if inspect.isclass(found) and issubclass(found, Kernel) else told


def _options(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    try:
        parameters: Iterable[str] = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    except (ImportError, AttributeError, ValueError):
        return []
    return [name for name in parameters if name not in ("args", "kwargs")]


def _no_key(key: str, keys: Keys) -> str:
    """Which part of a key is not known: with another system it may be."""
    known, parts = sorted(keys.known), key.split(".")
    parts = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    missing = next((part for part in parts if part not in known), key)
    top, _, name = missing.rpartition(".")
    beside = [one for one in known if one.rpartition(".")[0] == top]
    if missing in keys.others:
        own = ", ".join(one.rpartition(".")[-1] for one in beside)
        has = f"a {keys.system} has no {name} (system {keys.others[missing]} has), but {own}"
        return f"there is no key {missing!r}: {has}."
    return f"there is no key {missing!r}{nearest(missing, beside)}"
