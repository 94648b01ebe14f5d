"""``gantk COMMAND``: finds out what is meant, and imports no more than that takes."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest

_RUNS = {
    "fit": "train a generator",
    "validate": "measure a checkpoint on the held-out samples",
    "test": "measure a checkpoint on samples that no choice was made on",
    "predict": "sample from a checkpoint",
}
_OTHERS = {
    "compare": "run the same experiment over regimes and seeds, and write one report",
    "pictures": "draw scores, widths against the limit, samples, films",
    "init": "write a configuration for a folder of pictures of your own",
    "doctor": "say what is installed, what works here, and what mends what does not",
}
_HELP = f"""gantk: generators against finite or infinitely wide discriminators.

usage: gantk COMMAND [OPTIONS]

{{commands}}

start:
  gantk fit --config quickstart                            MNIST digits, no download
  gantk init PICTURES && gantk fit --config PICTURES.yaml  your own pictures
  gantk fit --config quickstart --config discriminator/finite_lsgan
                                                           the other regime

options:
  gantk COMMAND --help   all options of a command ({", ".join(_RUNS)}: after some seconds of imports)
  gantk --version        the version
"""


def main(args: list[str] | None = None) -> object:
    """Runs one command.

    Args:
        args: Its words; those that the program was called with where none are given.

    Returns:
        What the command gives: of a run, the ``GANCommand`` with what it made.

    Raises:
        SystemExit: With one line on standard error where something that was asked for cannot be done.
    """
    words = list(sys.argv[1:] if args is None else args)
    before = signal.getsignal(signal.SIGINT)
    try:
        return _run(words)
    except ConfigError as error:
        leave(error, 2)
    except KeyboardInterrupt:
        leave("stopped by Ctrl-C.", 130)
    finally:
        if signal.getsignal(signal.SIGINT) is _stop_at_once:
            signal.signal(signal.SIGINT, before)


def entry() -> None:
    """The installed program: what ``main`` gives is for Python, and would be taken for an exit code."""
    main()


def leave(message: object, code: int) -> None:
    """Ends the process with one line on standard error."""
    print("gantk:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(code)


def _run(words: list[str]) -> object:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return None
    if words[0] in ("-V", "--version"):
        from lightning_gantk import __version__

        print(f"gantk {__version__}")
        return None
    command, *rest = words
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # classes of one's own lie beside the configuration
    if command in _RUNS:
        return _train(words)
    if command not in _OTHERS:
        raise ConfigError(f"there is no command {command!r}{nearest(command, [*_RUNS, *_OTHERS])}")
    code = _other(command)(rest)
    if isinstance(code, int) and code:
        raise SystemExit(code)
    return code


def _train(words: list[str]) -> object:
    from lightning_gantk.command import keys

    words = keys.checked(words)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Amid an import KeyboardInterrupt may become whatever the module makes of it; until a run listens, end at once.
        signal.signal(signal.SIGINT, _stop_at_once)
    from lightning_gantk.cli import main as run

    return run(words)


def _other(command: str) -> Callable[[list[str]], object]:
    if command == "compare":
        from lightning_gantk.compare.command import main as run
    elif command == "pictures":
        from lightning_gantk.command.pictures import main as run
    elif command == "init":
        from lightning_gantk.command.start import main as run
    else:
        from lightning_gantk.command.doctor import main as run
    return run


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    print("gantk: stopped by Ctrl-C; nothing had begun.", file=sys.stderr)
    sys.stderr.flush()
    os._exit(130)


def _help() -> str:
    groups = (("runs", _RUNS), ("more", _OTHERS))
    return _HELP.format(
        commands="\n\n".join(
            "\n".join([f"{title}:", *(f"  {name:<10}{says}" for name, says in known.items())])
            for title, known in groups
        )
    )
