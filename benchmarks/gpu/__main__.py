"""The plan for whoever has a GPU: ``python -m benchmarks.gpu [--parts NAME ...] [--results FILE] [--table FILE]``.

Each part takes at most some ten minutes; its rows are written as they come, and a part that has all of them is not run
again. ``--tiny`` shows on any machine that the parts run.
"""

import argparse
import sys
import time
from pathlib import Path

from benchmarks.gpu import device
from benchmarks.gpu.parts import PARTS, Options
from benchmarks.gpu.results import Results


def main(arguments: list[str] | None = None) -> Results:
    """Runs the parts that are missing, prints their rows and writes them down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--results", type=Path, default=Path("gpu.json"), help="rows and finished parts (%(default)s)")
    parser.add_argument("--table", type=Path, help="write the table into this file of Markdown, between its marks")
    parser.add_argument("--seconds", type=float, default=300.0, help="of each run on pictures (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each side (%(default)s)")
    parser.add_argument("--cases", default="", help="correctness of architectures whose names begin so")
    parser.add_argument("--losses", nargs="+", default=Options.losses, help="of the discriminators that are timed")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: shows that everything runs")
    parser.add_argument("--again", action="store_true", help="run finished parts again")
    options = parser.parse_args(arguments)
    repeats = 1 if options.tiny else options.repeats
    settings = Options(options.tiny, options.seconds, repeats, options.cases, tuple(options.losses))
    results = Results(options.results, device.name())
    print(
        f"# {results.device}, {device.versions()}\n| part | work | baseline | ours | faster | |\n" + "| --- " * 6 + "|"
    )
    for part in options.parts:
        if results.is_finished(part) and not options.again:
            print(f"| {part} | finished before | | | | |")
            continue
        begun = time.perf_counter()
        results.begin(part, device.versions())
        for row in PARTS[part](settings):
            results.add(part, row)
            print(f"| {part} | {row.work} | {row.baseline} | {row.ours} | {row.ratio} | {row.note} |", flush=True)
        results.finish(part, time.perf_counter() - begun)
    if options.table:
        results.write_table(options.table)
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
