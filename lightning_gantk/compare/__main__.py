"""The command line of comparisons: ``run``, ``status``, ``report``."""

import argparse
import sys
from pathlib import Path

from lightning_gantk.compare.specification import Specification, load
from lightning_gantk.errors import ConfigError


def main(args: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code. 0: done; 1: some run has failed; 2: what was asked for cannot be done, told in one line;
        130 or 143: stopped by Ctrl-C or SIGTERM.
    """
    options = _parser().parse_args(args)
    try:
        return options.command(load(options.specification, folder=options.folder), options)
    except ConfigError as error:
        print("compare:", " ".join(str(error).split()), file=sys.stderr)
        return 2


def _run(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.execution import run

    return run(specification, parallel=options.parallel, local=options.local)


def _status(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.display import watch

    return watch(specification, once=options.once or not sys.stdout.isatty())


def _report(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.report import write

    for path in write(specification):
        print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m lightning_gantk.compare", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="{run,status,report}")
    for name, command, says in (
        ("run", _run, "Run what is missing, then write the report; again after an interruption, to go on."),
        ("status", _status, "Show where every run stands; live on a terminal."),
        ("report", _report, "Write report.html, report.md and results.csv from the runs' logs."),
    ):
        one = commands.add_parser(name, help=says, description=says, allow_abbrev=False)
        one.add_argument("specification", type=Path, help="A YAML file, such as configs/compare/mnist_regimes.yaml.")
        one.add_argument("--folder", type=Path, help="Of the comparison, instead of the specification's.")
        one.set_defaults(command=command)
        if name == "run":
            one.add_argument("--parallel", type=int, help="Runs at once, instead of the specification's.")
            one.add_argument("--local", action="store_true", help="On this machine, whatever the specification says.")
        if name == "status":
            one.add_argument("--once", action="store_true", help="Print the table once.")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
