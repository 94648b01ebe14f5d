"""The configurations that come with the package, by their short names: ``quickstart``, ``discriminator/ntk_ipm``."""

from pathlib import Path

from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest

_PACKAGE = Path(__file__).parent
_MANY = 10  # files of a folder, which a message does not list


def folder() -> Path:
    """Where they are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def find(name: str, *, what: str = "config", within: str = "") -> Path:
    """The file that a name means: one of the user's, or else one that comes with the package.

    Args:
        name: A path; or of a shipped file the path below ``configs``, with or without that and the suffix.
        what: It is, for the message.
        within: A folder below ``configs`` that the name may leave out.

    Raises:
        ConfigError: If there is none.
    """
    if Path(name).exists():
        return Path(name)
    if (path := shipped(name, within=within)) is not None:
        return path
    raise ConfigError(f"there is no {what} {name}{hint(name, within=within)}")


def shipped(name: str, *, within: str = "") -> Path | None:
    """The shipped file of a name, as for ``find``; None where there is none."""
    path = folder() / within / f"{_short(name, within)}.yaml"
    return path if path.is_file() and ".." not in Path(name).parts else None


def hint(name: str, *, within: str = "") -> str:
    """The end of a message that there is no such file: the shipped ones with the nearest names."""
    home = folder() / within
    known = sorted(path.relative_to(home).with_suffix("").as_posix() for path in home.rglob("*.yaml"))
    short = _short(name, within).rstrip("/")
    held = [one for one in known if one.startswith(f"{short}/")]  # where the name is that of a folder
    if 0 < len(held) < _MANY:
        return f"; did you mean {' or '.join(held)}?"
    near = nearest(short, known)
    return near if near != "." else ", here or among those that come with the package."


def _short(name: str, within: str) -> str:
    below = name.removeprefix("configs/").removesuffix(".yaml")
    return below.removeprefix(f"{within}/") if within else below
