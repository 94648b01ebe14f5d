"""What is to be compared: the specification, read from YAML and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gantk import yaml_files
from lightning_gantk.compare.plan import choices
from lightning_gantk.compare.plan.budget import budget_of
from lightning_gantk.compare.plan.checks import first_twice, number, one_of, optional, refuse_unknown
from lightning_gantk.compare.plan.maps import Map, maps_of
from lightning_gantk.compare.plan.search import SearchPlan, search_of
from lightning_gantk.errors import ConfigError

_KEYS = (
    "title",
    "description",
    "folder",
    "configs",
    "set",
    "runs",
    "grid",
    "budget",
    "search",
    "seeds",
    "metrics",
    "value",
    "alpha",
    "maps",
    "parallel",
    "threads",
    "gpus",
    "retries",
    "timeout_minutes",
    "slurm",
)
_MAY_BE_NULL = ("title", "maps", "description", "folder", "budget", "search", "threads", "timeout_minutes", "slurm")


@dataclass(frozen=True)
class Specification:
    """A comparison: choices on axes, seeds, what to report, how to run it.

    Attributes:
        path: The YAML file.
        title: Of the report.
        description: Below the title.
        folder: Where runs and report go.
        base: What all runs share.
        axes: Choices that are combined, each of one axis with each of the others.
        budget: What makes a run train for a time; None for as many steps as its configuration says.
        search: Trials that come before; None for no search.
        seeds: One run of each combination for each.
        metrics: "min" or "max" by the name in the logs: which is better.
        value: "last" or "best", which of a run's values counts, or "late", the mean of the last fifth of them.
        alpha: Level of the tests.
        maps: Phase diagrams.
        parallel: Runs at once.
        threads: Of a run; None divides the cores among the runs.
        gpus: Of a run on this machine that has any.
        retries: How often a run that failed is started again.
        timeout_minutes: After which a run that is still going has failed.
        slurm: Options for submitit's SLURM executor; None runs on this machine.
    """

    path: Path
    title: str
    description: str
    folder: Path
    base: choices.Choice
    axes: tuple[tuple[choices.Choice, ...], ...]
    budget: choices.Choice | None
    search: SearchPlan | None
    seeds: tuple[int, ...]
    metrics: dict[str, str]
    value: str
    alpha: float
    maps: tuple[Map, ...]
    parallel: int
    threads: int | None
    gpus: int
    retries: int
    timeout_minutes: float | None
    slurm: dict[str, Any] | None


def load(path: Path, *, folder: Path | None = None) -> Specification:
    """Reads a specification.

    Args:
        path: YAML. Paths of configs in it are relative to it; shipped configs have short names.
        folder: Of the comparison, instead of the one given there, or of ``runs/compare/<name of the file>``.

    Raises:
        ConfigError: If anything in it is not as it must be.
    """
    path = Path(path)
    given = yaml_files.read(path, "specification")
    if not isinstance(given, dict):
        raise ConfigError(f"the specification {path} must be a mapping with the keys {', '.join(_KEYS)}.")
    refuse_unknown(given, _KEYS, f"the specification {path}")
    given = {key: value for key, value in given.items() if value is not None or key not in _MAY_BE_NULL}
    here = path.parent
    if not given.get("configs"):
        raise ConfigError(f"the specification {path} has no 'configs': name at least one base config.")
    base = choices.Choice(
        "base",
        choices.configs_of(given["configs"], here, "'configs'"),
        choices.settings_of(given.get("set", {}), "'set'"),
    )
    axes = [choices.named(given["runs"], here)] if "runs" in given else []
    axes += choices.product(given["grid"], here) if "grid" in given else []
    metrics = _metrics(given.get("metrics", {"val/fid": "min"}))
    seeds = _seeds(given.get("seeds", [0]))
    search = search_of(given["search"], seeds) if "search" in given else None
    _refuse_unsearched(search, axes)
    if search is not None:
        choices.settings_of(dict(search.space), "'space' of 'search'")  # for the keys alone
    budget = budget_of(given["budget"]) if "budget" in given else None
    _refuse_longer(search, budget)
    _refuse_overridden(budget, [base, *(one for axis in axes for one in axis)])
    return Specification(
        path=path,
        title=str(given.get("title", path.stem.replace("_", " "))),
        description=str(given.get("description", "")),
        folder=folder or Path(str(given.get("folder", Path("runs", "compare", path.stem)))),
        base=base,
        axes=tuple(axes),
        budget=budget,
        search=search,
        seeds=seeds,
        metrics=metrics,
        value=one_of(given.get("value", "last"), ("last", "best", "late"), "'value'"),
        alpha=number(given.get("alpha", 0.05), "'alpha'", above=0, below=1),
        maps=maps_of(given["maps"], given.get("grid"), metrics) if "maps" in given else (),
        parallel=int(number(given.get("parallel", 1), "'parallel'", whole=True, least=1)),
        threads=optional(given.get("threads"), "'threads'", whole=True, least=1),
        gpus=int(number(given.get("gpus", 1), "'gpus'", whole=True, least=1)),
        retries=int(number(given.get("retries", 1), "'retries'", whole=True, least=0)),
        timeout_minutes=optional(given.get("timeout_minutes"), "'timeout_minutes'", above=0),
        slurm=_slurm(given.get("slurm")),
    )


def _seeds(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not given:
        raise ConfigError(f"'seeds' has no values: give a list of whole numbers, got {given!r}.")
    for seed in given:
        number(seed, "a seed", whole=True, least=0)
    if (twice := first_twice(given)) is not None:
        raise ConfigError(f"the seed {twice} stands twice in 'seeds'.")
    return tuple(given)


def _refuse_unsearched(search: SearchPlan | None, axes: list[tuple[choices.Choice, ...]]) -> None:
    """Refuses a space without a search, and a search in which some combination has nothing to vary."""
    if search is None:
        for choice in (one for axis in axes for one in axis if one.space):
            raise ConfigError(f"{choice.name!r} has a space to search, and the specification no 'search'.")
    elif not search.space and not any(all(one.space for one in axis) for axis in axes):
        bare = next((one.name for axis in axes for one in axis if not one.space), "the base")
        raise ConfigError(
            f"{bare!r} has nothing to search: give it a 'search' of its own, or a 'space' in that of the specification."
        )


def _refuse_longer(search: SearchPlan | None, budget: choices.Choice | None) -> None:
    """Refuses trials that are to take longer than the runs that they are for."""
    if search is None or search.seconds is None:
        return
    if budget is None:
        raise ConfigError("'search' has 'seconds', and the specification no 'budget', of which they would be a part.")
    whole = dict(budget.settings)["budget.seconds"]
    if search.seconds > whole:
        raise ConfigError(
            f"'seconds' of 'search' must be at most those of the 'budget', {whole:g}, got {search.seconds:g}."
        )


def _refuse_overridden(budget: choices.Choice | None, others: list[choices.Choice]) -> None:
    """Refuses values that the budget, which is laid over all, would undo."""
    if budget is None:
        return
    its = dict(budget.settings)
    for choice in others:
        for key, _ in (*choice.settings, *choice.space):
            if key in its or key.startswith("budget."):
                raise ConfigError(
                    f"{choice.name!r} sets {key!r}, and the 'budget' of the specification, which is the same for all, "
                    "is laid over it: leave one of the two out."
                )


def _metrics(given: Any) -> dict[str, str]:
    if not isinstance(given, dict) or not given:
        raise ConfigError(
            "'metrics' must be a mapping of names from the logs to min or max, whichever is better, such as "
            f"{{val/fid: min}}; got {given!r}."
        )
    return {str(name): one_of(better, ("min", "max"), f"metric {name!r}") for name, better in given.items()}


def _slurm(given: Any) -> dict[str, Any] | None:
    if given is not None and not isinstance(given, dict):
        raise ConfigError(f"'slurm' must be a mapping of submitit's options, got {given!r}.")
    return given
