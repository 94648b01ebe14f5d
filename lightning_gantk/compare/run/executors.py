"""Where runs are run: submitit's executors, and what each run may use of this machine."""

import os
import time
from pathlib import Path
from typing import Any

from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.run import machine
from lightning_gantk.compare.state import Comparison
from lightning_gantk.errors import ConfigError

_YEAR = 60 * 24 * 365  # minutes: a local job's own clock stops it, not submitit's


def make(specification: Specification, comparison: Comparison, *, local: bool) -> Any:
    """The executor of submitit: for SLURM where the specification has options for it, else for this machine.

    Raises:
        ConfigError: If there is no such thing here, or it does not know an option.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("comparisons are run by submitit: install it (pip install submitit).") from error
    # A folder for each driver: local jobs have process ids for names, which come again.
    folder = comparison.jobs.absolute() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    if specification.slurm is None or local:
        executor = submitit.AutoExecutor(folder, cluster="local")
        executor.update_parameters(timeout_min=_YEAR)
        return executor
    options = _slurm_options(specification.slurm)
    try:
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=100)
        executor.update_parameters(**options)
    except RuntimeError as error:
        raise ConfigError(f"'slurm': {error} (run here with --local.)") from error
    except (NameError, AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"'slurm': {error}") from error
    return executor


def _slurm_options(given: dict[str, Any]) -> dict[str, Any]:
    """The names that submitit knows: its own as they are, SLURM's with ``slurm_`` before them."""
    from lightning_gantk.compare.run.submitit_internals import option_names

    shared, of_slurm = option_names()
    options = {key if key in shared or key.startswith("slurm_") else f"slurm_{key}": given[key] for key in given}
    known = {*shared, *(f"slurm_{key}" for key in of_slurm)}
    for key in options:
        if key not in known:
            told = sorted(name.removeprefix("slurm_") for name in known)
            raise ConfigError(f"'slurm' has no option {key.removeprefix('slurm_')!r}; it may be of {', '.join(told)}.")
    if not {"timeout_min", "slurm_time"} & set(options):
        raise ConfigError("'slurm' needs timeout_min, the minutes that a job may take.")
    return {"name": "gantk", **options}


def environment(specification: Specification, *, slot: int, parallel: int, local: bool) -> dict[str, str | None]:
    """Variables that give a run its share of this machine, so that runs beside each other do not slow each other down.

    Args:
        specification: Its ``threads`` and ``gpus``.
        slot: Number of the run among those beside it.
        parallel: How many there may be.
        local: Whether it runs on this machine; on a cluster the cluster divides.
    """
    threads = specification.threads
    if local:
        threads = threads or max(1, machine.cores() // parallel)
    variables: dict[str, str | None] = {}
    if threads:  # of torch, of its BLAS, and of JAX
        variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"), str(threads))
    if local:
        variables["CUDA_VISIBLE_DEVICES"] = _devices(slot, specification.gpus)
    return variables


def _devices(slot: int, wanted: int) -> str | None:
    """GPUs of a slot, by turns; submitit would hide them all."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        count = len([path for path in Path("/dev").glob("nvidia*") if path.name.removeprefix("nvidia").isdigit()])
        visible = [str(index) for index in range(count)]
    else:
        visible = [name for name in given.split(",") if name.strip()]
    if len(visible) < wanted:
        return given
    groups = [visible[start : start + wanted] for start in range(0, len(visible) - wanted + 1, wanted)]
    return ",".join(groups[slot % len(groups)])
