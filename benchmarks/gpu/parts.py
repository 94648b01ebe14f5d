"""The parts of the plan by name."""

from collections.abc import Callable, Iterator

from benchmarks.gpu import backends, correctness, crossings, discriminators, largest, pictures, startup, training
from benchmarks.gpu.options import Options
from benchmarks.rows import Row

PARTS: dict[str, Callable[[Options], Iterator[Row]]] = {
    "correctness": correctness.rows,
    "bridge": crossings.rows,
    "backends": backends.rows,
    "discriminators": discriminators.rows,
    "largest": largest.rows,
    "training": training.rows,
    "startup": startup.rows,
    "pictures": pictures.rows,
}

__all__ = ["PARTS", "Options"]
