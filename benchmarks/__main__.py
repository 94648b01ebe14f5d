"""One table: ``python -m benchmarks [--quick] [--growth FILE.png] [--rows NAME ...] [--json FILE] [--table PAGE]``."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import jax
import torch

from benchmarks import rows
from benchmarks.growth import plot
from benchmarks.tables import put
from lightning_gantk.losses import IPM, LSGAN, Vanilla


def _jobs(*, quick: bool) -> dict[str, list[Callable[[], Iterator[rows.Row]]]]:
    """The rows by name; the quick ones only show that everything runs."""
    repeats = 1 if quick else 9
    sizes = (16,) if quick else (128, 1024, 2048, 8192, 16384)
    images = ((8, 8, 1),) if quick else ((128, 32, 1), (128, 32, 3), (64, 64, 3))
    batch, small, middle = (16, 16, 16) if quick else (256, 512, 1024)
    memory = [("mlp", 64, True)] if quick else [("mlp", 8192, False), ("mlp", 1024, True), ("dcgan", 128, True)]
    return {
        "ipm": [
            lambda: rows.ipm_points(16 if quick else 500, 5 * repeats),
            *(lambda n=n: rows.ipm_mlp(n, repeats if n < 8192 else 1) for n in sizes),
        ],
        "dcgan": [
            *(lambda i=i: rows.ipm_dcgan(*i, repeats) for i in images),
            *([] if quick else [lambda: rows.ipm_dcgan(1024, 32, 1, 2, baseline=False)]),
        ],
        "native": [lambda: rows.native(16 if quick else 128, repeats)],
        "lsgan-weights": [lambda: rows.lsgan_weights(middle, repeats)],
        "lsgan": [lambda: rows.lsgan_step(middle, repeats)],
        "vanilla": [lambda: rows.vanilla_fit(small, 3 * repeats)],
        "finite": [lambda: rows.finite(rows.RELU_MLP, (IPM(), LSGAN(), Vanilla()), batch, 3 * repeats)],
        "finite-dcgan": [lambda: rows.finite(rows.RELU_DCGAN, (IPM(),), batch, max(2, repeats // 3))],
        "bridge": [lambda: rows.bridge_share(small, repeats)],
        "points": [lambda: rows.points_step(4 if quick else 1000)],
        "start": [lambda: rows.start(16 if quick else 128, 1 if quick else 3)],
        "memory": [lambda: rows.memory(memory)],
    }


_HEAD = "| work | baseline | ours | faster | |\n| --- | --- | --- | --- | --- |"


def _line(row: rows.Row) -> str:
    return f"| {row.work} | {row.baseline} | {row.ours} | {row.ratio} | {row.note} |"


def _machine() -> str:
    """What the rows were taken on."""
    device = jax.devices()[0]
    versions = f"Python {platform.python_version()}, jax {jax.__version__}, torch {torch.__version__}"
    return f"Taken on {device.platform} ({device.device_kind}), {os.cpu_count()} CPU cores, float32: {versions}."


def main(arguments: list[str] | None = None) -> list[rows.Row]:
    """Runs the rows and prints them as they come; the rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repeat: shows that every row runs")
    parser.add_argument("--rows", nargs="+", help="only these groups of rows")
    parser.add_argument("--growth", type=Path, help="plot time against n here instead (needs matplotlib)")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--table", type=Path, help="put all rows in their place in this page too")
    options = parser.parse_args(arguments)
    if options.table and options.rows:
        parser.error("--table puts the whole table in a page, and --rows measures some rows: leave one out")
    print(f"{_machine()}\n")
    if options.growth:
        plot(options.growth, quick=options.quick)
        return []
    jobs = _jobs(quick=options.quick)
    unknown = set(options.rows or ()) - set(jobs)
    if unknown:
        parser.error(f"unknown rows {', '.join(sorted(unknown))}; allowed are {', '.join(jobs)}")
    print(_HEAD)
    found = []
    for name in options.rows or jobs:
        for job in jobs[name]:
            for row in job():
                print(_line(row), flush=True)
                found.append(row)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=2))
    if options.table:
        put(options.table, "benchmarks", "\n".join([f"{_machine()}\n", _HEAD, *map(_line, found)]))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
