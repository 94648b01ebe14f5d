"""FID of digits by the seconds that training took: ``python -m benchmarks.frontier [--only NAME ...]``.

Runs that the file of results has are not made again: name another, or remove them from it. Each entry is the quickstart
with other settings, trained in a process of its own on one thread. Seconds are those of the processor, without
validation: they do not depend on what else the machine does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import Any, NamedTuple

from lightning import Callback, LightningModule, Trainer
from matplotlib.figure import Figure

from benchmarks.command import fit
from benchmarks.tables import put
from lightning_gantk.pictures.style import figure, save, styled

RESULTS = Path("docs/frontier.json")
PICTURES = Path("docs/images/frontier")
Points = list[list[float]]  # [[seconds, steps, FID], ...] of a run


class Entry(NamedTuple):
    """A run: files of ``configs``, settings of the command line, seconds after which it stops, seeds."""

    files: tuple[str, ...] = ("quickstart.yaml",)
    settings: Mapping[str, Any] = MappingProxyType({})
    seconds: float = 3600.0
    seeds: int = 1


class Finding(NamedTuple):
    """A picture: entries beside each other."""

    title: str
    entries: tuple[str, ...]


def _short(**options: Any) -> Entry:
    """The quickstart with a third of its steps, and other options of its discriminator."""
    return Entry(settings={"trainer.max_steps": 800, "model.scheduler.init_args.T_max": 800, **_discriminator(options)})


def _random_network(*, width: int = 32, **options: Any) -> Entry:
    """The same, with other features."""
    return _short(width=width, **{f"architecture.init_args.{name}": value for name, value in options.items()})


def _lsgan(**options: Any) -> Entry:
    """A linearised network that is kept, trained on LSGAN."""
    options = {"loss": "lightning_gantk.losses.LSGAN", **options}
    return Entry(("quickstart.yaml", "best/linearized.yaml"), _discriminator(options), seconds=100)


def _discriminator(options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"model.discriminator.init_args.{name}": value for name, value in options.items()}


ENTRIES = {
    "moments": Entry(seeds=3),
    "NTK IPM": Entry(("quickstart.yaml", "best/ntk_ipm.yaml"), seconds=200),
    "linearised IPM": Entry(("quickstart.yaml", "best/linearized.yaml"), seconds=100),
    "WGAN-GP": Entry(("quickstart.yaml", "best/finite.yaml"), seconds=180),
    "800 steps": _short(),
    "first moments alone": _short(second=0.0),
    "second moments x 5": _short(second=0.25),
    "64 components": _short(components=64),
    "256 components": _short(components=256),
    "2,048 components": _short(components=2048),
    "no whitening": _short(whitening=0.0),
    "full whitening": _short(whitening=1.0),
    "fakes of one step": _short(decay=1.0),
    "fakes of 10 steps": _short(decay=0.1),
    "fakes of 200 steps": _short(decay=0.005),
    "ReLU": _random_network(activation="relu"),
    "GELU": _random_network(activation="gelu"),
    "layer norm": _random_network(layer_norm=True),
    "1 block, 8 channels": _random_network(width=8, blocks=1),
    "3 blocks, 128 channels": _random_network(width=128, blocks=3),
    "linearised LSGAN": _lsgan(),
    "linearised LSGAN, moves each fit": _lsgan(decay=0.0, relinearize_every=1),
}
FINDINGS = {
    "families": Finding("One core", ("moments", "NTK IPM", "linearised IPM", "WGAN-GP")),
    "second": Finding("Second moments", ("800 steps", "first moments alone", "second moments x 5")),
    "components": Finding("Components", ("800 steps", "64 components", "256 components", "2,048 components")),
    "whitening": Finding("Whitening", ("800 steps", "no whitening", "full whitening")),
    "features": Finding(
        "Random networks",  # 800 steps: leaky ReLU, 2 blocks of 32 channels
        ("800 steps", "ReLU", "GELU", "layer norm", "1 block, 8 channels", "3 blocks, 128 channels"),
    ),
    "moves": Finding(
        "Linearised networks", ("linearised IPM", "linearised LSGAN", "linearised LSGAN, moves each fit", "WGAN-GP")
    ),
    "averages": Finding(
        "Averages of the fakes (800 steps: over 50)",
        ("800 steps", "fakes of one step", "fakes of 10 steps", "fakes of 200 steps"),
    ),
}


class Clock(Callback):
    """Stops a run after seconds of the processor, and keeps FID by seconds, of training alone.

    Args:
        seconds: Budget.
        path: Where ``[[seconds, steps, FID], ...]`` goes.
    """

    def __init__(self, seconds: float, path: str):
        self.budget, self.path = seconds, Path(path)
        self.spent = 0.0
        self.points: Points = []
        self._since = time.process_time()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.spent += time.process_time() - self._since

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.points.append([self.spent, trainer.global_step, float(trainer.callback_metrics["val/fid"])])
            self.path.write_text(json.dumps(self.points))
            trainer.should_stop = self.spent >= self.budget
        self._since = time.process_time()


def run(name: str, seed: int, path: Path) -> None:
    """Trains an entry in this process, and writes its points."""
    entry = ENTRIES[name]
    clock = {"class_path": "benchmarks.frontier.Clock", "init_args": {"seconds": entry.seconds, "path": str(path)}}
    quiet = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False, "callbacks": [clock]}
    trainer = {"val_check_interval": 100, **quiet, "default_root_dir": str(path.parent)}
    told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in trainer.items()}
    settings = {f"trainer.{key}": value for key, value in told.items()}
    fit(entry.files, {**settings, "seed_everything": seed, **entry.settings})


def measured(names: Iterable[str], path: Path, *, processes: int) -> dict[str, list[Points]]:
    """Runs the seeds of entries that are missing, each in a process of one thread; points by entry and seed."""
    results = json.loads(path.read_text()) if path.exists() else {}
    jobs = [(name, seed) for name in names for seed in range(len(results.get(name, [])), ENTRIES[name].seeds)]
    with ThreadPoolExecutor(processes) as pool:
        for (name, _), points in zip(jobs, pool.map(lambda job: _elsewhere(*job), jobs), strict=True):
            results.setdefault(name, []).append(points)
            lines = [f'"{name}": {json.dumps(results[name])}' for name in ENTRIES if name in results]
            path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return {name: results[name] for name in ENTRIES if name in results}


def _elsewhere(name: str, seed: int) -> Points:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.json"
        one = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
        words = [sys.executable, "-m", "benchmarks.frontier", "--run", name, str(seed), str(path)]
        subprocess.run(words, check=True, env={**os.environ, **one})
        points = json.loads(path.read_text())
    print(f"{name}, seed {seed}: FID {points[-1][2]:.1f} after {points[-1][0]:.0f} s", flush=True)
    return points


@styled
def picture(finding: Finding, results: dict[str, list[Points]]) -> Figure:
    """FID by seconds, a line for each seed."""
    drawn = figure(2.2)
    axes = drawn.subplots()
    for number, name in enumerate(finding.entries):
        for seed, points in enumerate(results[name]):
            seconds, _, fids = zip(*points, strict=True)
            axes.plot(seconds, fids, color=f"C{number}", linewidth=0.9, label=None if seed else name)
    longest = max(points[-1][0] for name in finding.entries for points in results[name])
    axes.set(xlabel="seconds of one core", ylabel="FID", yscale="log", xlim=(0, longest), title=finding.title)
    axes.set_yticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"])
    axes.minorticks_off()
    axes.legend(fontsize=6)
    return drawn


def table(results: dict[str, list[Points]]) -> Iterator[str]:
    """The lines of the table: FID at the last validation before some times, mean over seeds."""
    times = (30, 60, 120, 200, 300)
    yield f"| run | {' | '.join(f'{seconds} s' for seconds in times)} | end | seeds | steps a second |"
    yield f"| --- |{' ---: |' * (len(times) + 3)}"
    for name, runs in results.items():
        cells = []
        for wanted in times:
            reached = [
                fids[-1] for points in runs if (fids := [fid for seconds, _, fid in points if seconds <= wanted])
            ]
            over = min(points[-1][0] for points in runs) < wanted
            cells.append("" if over or len(reached) < len(runs) else f"{mean(reached):.1f}")
        seconds, steps, fids = ([points[-1][column] for points in runs] for column in range(3))
        cells += [f"{mean(fids):.1f} ({mean(seconds):.0f} s)", str(len(runs)), f"{sum(steps) / sum(seconds):.1f}"]
        yield f"| {name} | {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> None:
    """Runs what is missing of what is asked for, and makes the table and the pictures of all that was ever run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frontier", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=ENTRIES, default=list(ENTRIES), help="entries; none: draw alone")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="points of all runs")
    parser.add_argument("--output", type=Path, default=Path("docs/frontier.md"), help="where the table goes")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder")
    parser.add_argument("--run", nargs=3, metavar=("ENTRY", "SEED", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        name, seed, path = options.run
        run(name, int(seed), Path(path))
        return
    results = measured(options.only, options.results, processes=options.processes)
    options.pictures.mkdir(parents=True, exist_ok=True)
    for name, finding in FINDINGS.items():
        if all(entry in results for entry in finding.entries):
            save(picture(finding, results), options.pictures / f"{name}.png", dpi=110)
    put(options.output, "benchmarks.frontier", "\n".join(table(results)))


if __name__ == "__main__":
    main()
