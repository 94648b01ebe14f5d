"""The paper's table on 8 Gaussians: ``python -m benchmarks.reproduction --output docs/reproduction.md``.

Every cell is a run of ``train.py`` on the files of configs/paper, three seeds each. Results are kept beside the output,
in a .json file, run by run, and checkpoints of the run that is under way in a .runs folder: a command that was broken
off goes on where it was, and a longer one adds to what is there. Several commands with ``--cells`` of their own may run
side by side.
Runs of the paper's 50,000 steps (``--steps 50000 --finite-steps 50000``) have a table of their own.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import torch
from jax.experimental.compilation_cache import compilation_cache

from benchmarks.paper import ARCHITECTURES, REGIMES, fit, is_infinite
from benchmarks.tables import put
from lightning_gantk.errors import TrainingDiverged

# Cells beside the paper's settings, and what they change.
EXTRA = {("ipm_inf", "sigmoid_eta1e7"): {"model.optimizer.init_args.lr": 1e7}}
# Franceschi et al., ICML 2022, as orders of magnitude; 50,000 steps.
KNOWN = {
    ("ipm_inf", "rbf"): "2.6e-2",
    ("ipm_inf", "relu"): "1e-6",
    ("ipm_inf", "relu_no_bias"): "1e-1",
    ("ipm_inf", "sigmoid"): "8e-2",
    ("ipm_inf", "sigmoid_eta1e7"): "8e-2",
    ("ipm_finite", "relu"): "1.2e-1",
    ("lsgan_inf", "rbf"): "4e-1",
    ("lsgan_inf", "relu"): "8e-2",
    ("lsgan_inf", "relu_no_bias"): "> 10",
    ("lsgan_finite", "relu"): "> 3",
}
PAPER_STEPS = 50_000  # with so many a table of its own
CHECKPOINT_STEPS = 1000  # a minute or two of the dearest cells
CELLS = [(regime, one) for one in ARCHITECTURES for regime in REGIMES] + list(EXTRA)


def main(arguments: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Runs what is missing and writes the table; all results by name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduction", description=__doc__)
    parser.add_argument("--steps", type=int, default=3000, help="generator steps of a run; the paper has 50,000")
    parser.add_argument("--finite-steps", type=int, help="the same of the finite regimes, whose steps cost more")
    parser.add_argument("--seeds", type=int, default=3, help="runs of a cell, of points and start alike")
    parser.add_argument("--cells", nargs="+", metavar="REGIME/ARCHITECTURE", help="only these, such as ipm_inf/relu")
    parser.add_argument("--output", type=Path, default=Path("docs/reproduction.md"), help="where the table goes")
    parser.add_argument("--accelerator", default="auto", help="as of the trainer: cpu, gpu, auto")
    options = parser.parse_args(arguments)
    cells = _chosen(options.cells, parser)
    results_path = options.output.with_suffix(".json")
    results = _read(results_path)
    results_path.parent.mkdir(parents=True, exist_ok=True)
    of_finite: int = options.finite_steps or options.steps
    steps: dict[str, int] = {one: options.steps if is_infinite(one) else of_finite for one in REGIMES}
    table = "benchmarks.reproduction" + (f" --steps {PAPER_STEPS}" if options.steps == PAPER_STEPS else "")
    unfinished = options.output.with_suffix(".runs")
    with _compiled_once():
        for seed in range(options.seeds):  # outermost: a table that was broken off has some of everything
            for regime, architecture in cells:
                name = _name(regime, architecture, seed, steps[regime])
                if name in results:
                    continue
                folder = unfinished / name.replace("/", "-")
                found = run(regime, architecture, seed, steps[regime], folder, options.accelerator)
                print(f"{name}: {found}", flush=True)
                results = {**_read(results_path), name: found}  # read anew: other commands may have added theirs
                _replace(results_path, json.dumps(results, indent=1))
                shutil.rmtree(folder, ignore_errors=True)
                put(options.output, table, "\n".join(report(results, steps, options.seeds)))
    put(options.output, table, "\n".join(report(results, steps, options.seeds)))
    return results


def run(
    regime: str, architecture: str, seed: int, steps: int, folder: Path, accelerator: str = "auto"
) -> dict[str, Any]:
    """One run by the command line of ``train.py``, or the rest of it where ``folder`` has a checkpoint.

    Returns:
        The values of the last validation, ``diverged``, and ``seconds`` (of training, compilation included), which a
        run that was broken off does not have.
    """
    checkpoint = folder / "checkpoints" / "last.ckpt"
    resumed = checkpoint.exists()
    settings = {
        "seed_everything": seed,
        "data.init_args.seed": seed,
        "trainer.max_steps": steps,
        "trainer.val_check_interval": steps,
        "trainer.accelerator": accelerator,
        "trainer.default_root_dir": folder,
        "trainer.logger": "false",
        "last_checkpoint.every_n_steps": CHECKPOINT_STEPS,
        "trainer.enable_progress_bar": "false",
        **({"ckpt_path": checkpoint} if resumed else {}),
        **EXTRA.get((regime, architecture), {}),
    }
    begun, metrics = time.perf_counter(), None
    try:
        cli = fit(regime, architecture.split("_eta")[0], settings)
        measured = cli.trainer.callback_metrics.items()
        metrics = {name.removeprefix("val/"): float(value) for name, value in measured if name.startswith("val/")}
    except TrainingDiverged:
        pass
    seconds = {} if resumed else {"seconds": round(time.perf_counter() - begun, 1)}
    return {**(metrics or {}), "diverged": metrics is None, **seconds}


def report(results: dict[str, dict[str, Any]], steps: dict[str, int], seeds: int) -> Iterator[str]:
    """The lines of the tables."""
    found = {cell: _of(results, cell, steps[cell[0]], seeds) for cell in CELLS}
    runs = sum(map(len, found.values()))
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} CPU cores"
    device = jax.devices()[0]
    machine = threads if device.platform == "cpu" else device.device_kind
    yield (
        "Sinkhorn divergence (blur 0.001) of 500 particles to the 500 points that they are drawn to: mean ± standard "
        f"deviation of up to {seeds} runs; in brackets the paper's order of magnitude, after 50,000 steps. {runs} runs "
        f"on {machine}: {_breakdown(found)}."
    )
    yield ""
    yield f"| | steps | {' | '.join(ARCHITECTURES.values())} |"
    yield "| --- | --- |" + " --- |" * len(ARCHITECTURES)
    for regime, title in REGIMES.items():
        values = [_told(found[regime, one], KNOWN.get((regime, one))) for one in ARCHITECTURES]
        yield f"| {title} | {steps[regime]:,} | {' | '.join(values)} |"
    for regime, one in EXTRA:
        if found[regime, one]:
            told = _told(found[regime, one], KNOWN.get((regime, one)))
            yield f"\n{REGIMES[regime]}, {one.replace('_eta', ' with eta = ')}: {told}."
    yield (
        "\nModes covered, of 8, and seconds of a run (compilation and validation included; none of one that was broken "
        "off and went on), means:\n"
    )
    yield f"| | {' | '.join(ARCHITECTURES.values())} |"
    yield "| --- |" + " --- |" * len(ARCHITECTURES)
    for regime, title in REGIMES.items():
        values = [_modes_and_seconds(found[regime, one]) for one in ARCHITECTURES]
        yield f"| {title} | {' | '.join(values)} |"
    order = {regime: mean for regime in REGIMES if (mean := _mean(found[regime, "relu"])) is not None}
    if len(order) > 1:
        yield "\nReLU, from best to worst: " + "; ".join(REGIMES[r] for r in sorted(order, key=order.__getitem__)) + "."


@contextlib.contextmanager
def _compiled_once() -> Iterator[None]:
    """A folder for what JAX compiles: runs of a cell differ in their seeds alone."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        for name, value in zip(names, (folder, 0.0), strict=True):
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            for name, value in zip(names, before, strict=True):
                jax.config.update(name, value)
            compilation_cache.reset_cache()


def _chosen(given: list[str] | None, parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    known = {f"{regime}/{one}": (regime, one) for regime, one in CELLS}
    unknown = set(given or ()) - set(known)
    if unknown:
        parser.error(f"unknown cells {', '.join(sorted(unknown))}; allowed are {', '.join(known)}")
    return [known[name] for name in given or known]


def _of(results: dict[str, dict[str, Any]], cell: tuple[str, str], steps: int, seeds: int) -> list[dict[str, Any]]:
    names = (_name(*cell, seed, steps) for seed in range(seeds))
    return [results[name] for name in names if name in results]


def _name(regime: str, architecture: str, seed: int, steps: int) -> str:
    return f"{regime}/{architecture}/seed{seed}/steps{steps}"


def _sinkhorns(runs: Iterable[dict[str, Any]]) -> list[float]:
    return [run["sinkhorn"] for run in runs if not run["diverged"]]


def _mean(runs: list[dict[str, Any]]) -> float | None:
    values = _sinkhorns(runs)
    return statistics.fmean(values) if values else None


def _breakdown(found: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """9 infinite cells of 3 seeds, 3 finite cells of 1 seed."""
    counted = Counter((is_infinite(regime), len(runs)) for (regime, _), runs in found.items() if runs)
    told = []
    for (infinite, seeds), cells in sorted(counted.items(), reverse=True):
        kind = "infinite" if infinite else "finite"
        told.append(f"{cells} {kind} cell{'s' * (cells != 1)} of {seeds} seed{'s' * (seeds != 1)}")
    return ", ".join(told) or "no cell"


def _told(runs: list[dict[str, Any]], known: str | None) -> str:
    values = _sinkhorns(runs)
    told = "-"
    if values:
        told = f"{statistics.fmean(values):.1e}"
        told += f" ± {statistics.stdev(values):.0e}" if len(values) > 1 else ""
    if lost := sum(run["diverged"] for run in runs):
        told += f", {lost} of {len(runs)} diverged"
    return _plain(told) + (f" ({_plain(known)})" if known else "")


def _modes_and_seconds(runs: list[dict[str, Any]]) -> str:
    modes = [run["modes_covered"] for run in runs if "modes_covered" in run]
    if not runs:
        return "-"
    seconds = [run["seconds"] for run in runs if "seconds" in run]
    told = f"{statistics.fmean(modes) if modes else math.nan:.1f}"
    return f"{told}, {statistics.fmean(seconds):.0f} s" if seconds else told


def _plain(number: str) -> str:
    """1.2e-02 as 1.2e-2."""
    return number.replace("e-0", "e-").replace("e+0", "e")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return json.loads(path.read_text()) if path.exists() else {}


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text)
    unfinished.replace(path)


if __name__ == "__main__":
    main()
