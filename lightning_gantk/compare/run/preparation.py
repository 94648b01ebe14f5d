"""Before anything runs: every combination is parsed as ``train.py`` will parse it, and written down."""

import time
from collections.abc import Iterable
from typing import Any

from lightning_gantk import files
from lightning_gantk.compare.plan.runs import Run, arguments, copy_configs
from lightning_gantk.compare.state import Comparison
from lightning_gantk.errors import ConfigError


def check(runs: list[Run], comparison: Comparison) -> dict[str, int | None]:
    """Parses every cell that was not parsed before; writes nothing.

    Returns:
        Generator steps by cell; None where the configuration sets no limit.

    Raises:
        ConfigError: If ``train.py`` would refuse one.
    """
    steps: dict[str, int | None] = {}
    for run in runs:
        if run.cell not in steps:
            known = files.read_json(comparison.run(run.slug).plan)
            steps[run.cell] = known["max_steps"] if known else _parsed(run).trainer.max_steps
    return steps


def write(runs: list[Run], comparison: Comparison, steps: dict[str, int | None], metrics: Iterable[str]) -> None:
    """Makes a folder for each run that has not finished, with its plan and copies of its files.

    Args:
        runs: All of them.
        comparison: Where they go.
        steps: As ``check`` gives them.
        metrics: Names that the report is to show.
    """
    for run in runs:
        folder = comparison.run(run.slug)
        if folder.finished.exists():
            continue
        copy_configs(run, folder.configs)
        plan = {
            "cell": run.cell,
            "seed": run.seed,
            "digest": run.digest,
            "arguments": arguments(run, folder.configs),
            "max_steps": steps[run.cell],
            "metrics": list(metrics),
            "planned": time.time(),
        }
        files.write_json(folder.plan, plan)


def _parsed(run: Run) -> Any:
    from lightning_gantk.cli_partial import ParsedCommand

    try:
        return ParsedCommand(["fit", *arguments(run)]).config.fit
    except ConfigError as error:
        raise ConfigError(f"{run.cell}: {error}") from error
