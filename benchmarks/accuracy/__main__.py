"""``python -m benchmarks.accuracy [--cases N] [--seed S] [--processes P] [--folder DIR] [--table FILE.md]``, or
``[--seed S] --case K/B`` for one case alone.
"""

import argparse
import itertools
import json
import multiprocessing
import sys
from pathlib import Path

from benchmarks.accuracy.cases import CASES
from benchmarks.accuracy.run import file_of, keep, result
from benchmarks.accuracy.table import failures, table


def main(arguments: list[str] | None = None) -> list[dict]:
    """Measures what a folder does not hold yet, and writes the table of all that it holds; the rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many, rounded up to whole kernels of 160")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/accuracy"), help="keeps the results: a later call goes on"
    )
    parser.add_argument("--table", type=Path, help="write the table here too")
    parser.add_argument("--only-table", action="store_true", help="measure nothing: the table of what is there")
    parser.add_argument("--case", help="kernel/batch, as failures are listed: measure this one alone, print its row")
    options = parser.parse_args(arguments)
    if options.case:
        rows = [result(options.seed, *map(int, options.case.split("/")))]
        print(json.dumps(rows[0]))
        return rows
    options.folder.mkdir(parents=True, exist_ok=True)
    files = {index: file_of(options.seed, index, options.folder) for index in range(-(-options.cases // CASES))}
    jobs = [(options.seed, index, options.folder) for index, file in files.items() if not file.exists()]
    if not options.only_table:
        with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=20) as pool:
            for done, index in enumerate(pool.imap_unordered(keep, jobs), 1):
                print(f"\r{done} of {len(jobs)} kernels ({index})", end="", file=sys.stderr, flush=True)
    there = [json.loads(file.read_text()) for file in files.values() if file.exists()]
    rows = list(itertools.chain.from_iterable(there))
    text = table(rows, options.seed)
    print(text, failures(rows), sep="\n")
    if options.table:
        options.table.write_text(text)
    return rows


if __name__ == "__main__":
    main()
