"""All batches of one kernel, kept in a file."""

import itertools
import json
from pathlib import Path

import torch

from benchmarks.accuracy.cases import CASES, Setting, batch, settings
from benchmarks.accuracy.measure import measure
from lightning_gantk.discriminators import NTKDiscriminator

# What the discriminators of one kernel compile but once; the rest belongs to a loss and a time.
_OF_KERNEL = ("_batch", "_matrix", "_scores", "_both", "_both_at_fakes", "_compare", "_rounding")


def results(seed: int, index: int, most_settings: int | None = None, most_batches: int | None = None) -> list[dict]:
    """One row for each batch of a kernel, of its first settings and their first batches alone where that is said."""
    rows, first = [], None
    for given in itertools.islice(settings(seed, index), most_settings):
        discriminator = _discriminator(given)
        compiled = vars(discriminator._compiled)
        first = first or compiled
        compiled.update({name: first[name] for name in _OF_KERNEL})
        rows += [
            measure(given, batch(given, seed, index, number), index, number, discriminator).row()
            for number in given.numbers[:most_batches]
        ]
    return rows


def result(seed: int, index: int, number: int) -> dict:
    """The row of one batch of a kernel alone.

    Raises:
        ValueError: If the kernel has no batch of that number.
    """
    for given in settings(seed, index):
        if number in given.numbers:
            return measure(given, batch(given, seed, index, number), index, number, _discriminator(given)).row()
    raise ValueError(f"Kernel {index} has no batch {number}: they are numbered from 0 to {CASES - 1}.")


def _discriminator(given: Setting) -> NTKDiscriminator:
    return NTKDiscriminator(given.kernel, given.loss, given.time, dtype=given.dtype, check_every=1)


def file_of(seed: int, index: int, folder: Path) -> Path:
    """Where the rows of a kernel are kept."""
    return folder / f"{seed}-{index}.json"


def keep(job: tuple[int, int, Path]) -> int:
    """Measures a kernel in a process of its own; the file is there whole or not at all."""
    torch.set_num_threads(1)
    seed, index, folder = job
    file = file_of(seed, index, folder)
    rows = results(seed, index)
    scratch = file.with_suffix(".tmp")
    scratch.write_text(json.dumps(rows))
    scratch.replace(file)
    return index
