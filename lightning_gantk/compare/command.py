"""The command line of comparisons: ``run``, ``status``, ``report``."""

import argparse
import sys
from pathlib import Path

from lightning_gantk import config_files
from lightning_gantk.compare.plan.specification import Specification, load
from lightning_gantk.errors import ConfigError
from lightning_gantk.words import Parser


def main(args: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code. 0: done; 1: some run has failed; 2: what was asked for cannot be done, told in one line;
        130 or 143: stopped by Ctrl-C or SIGTERM.
    """
    try:
        options = _parser().parse_args(args)
        path = config_files.find(options.specification, what="specification", within="compare")
        return options.command(load(path, folder=options.folder), options)
    except ConfigError as error:
        print("compare:", " ".join(str(error).split()), file=sys.stderr)
        return 2


def _run(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.run.execution import run

    return run(specification, parallel=options.parallel, local=options.local)


def _status(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.run.display import watch

    return watch(specification, once=options.once or not sys.stdout.isatty())


def _report(specification: Specification, options: argparse.Namespace) -> int:
    from lightning_gantk.compare.report.page import save
    from lightning_gantk.compare.report.results import collect

    results = collect(specification)
    for path in save(results):
        print(path)
    if not any(one.finished for one in results.runs):
        words = f"{options.specification}{f' --folder {options.folder}' if options.folder else ''}"
        print(
            f"Nothing has finished yet, of {len(results.runs)} runs: the report has no results. gantk compare run "
            f"{words} runs what is missing, gantk compare status {words} shows how far it is."
        )
    return 0


def _parser() -> Parser:
    parser = Parser("gantk compare", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="{run,status,report}")
    for name, command, says in (
        ("run", _run, "Run what is missing, then write the report; again after an interruption, to go on."),
        ("status", _status, "Show where every run stands; live on a terminal."),
        ("report", _report, "Write report.html, report.md and results.csv from the runs' logs."),
    ):
        one = commands.add_parser(name, help=says, description=says, allow_abbrev=False)
        one.add_argument("specification", help="A YAML file, or the name of a shipped one, such as mnist_regimes.")
        one.add_argument("--folder", type=Path, help="Of the comparison, instead of the specification's.")
        one.set_defaults(command=command)
        if name == "run":
            one.add_argument("--parallel", type=int, help="Runs at once, instead of the specification's.")
            one.add_argument("--local", action="store_true", help="On this machine, whatever the specification says.")
        if name == "status":
            one.add_argument("--once", action="store_true", help="Print the table once.")
    return parser
