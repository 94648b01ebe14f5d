"""Units of a report: one for each quantity, in tables and figures alike."""

from dataclasses import dataclass

from lightning_gantk.compare.report.results import Results


@dataclass(frozen=True)
class Unit:
    """What a quantity is told in.

    Attributes:
        name: As a column's heading and an axis say it.
        size: In seconds, or bytes.
    """

    name: str
    size: float

    def told(self, value: float) -> str:
        """A value in seconds or bytes as its number in the unit."""
        return rounded(value / self.size)


STEP_TIME = Unit("ms per generator step", 1e-3)
STEPS = "generator steps"


def training_time(results: Results) -> Unit:
    """Hours, minutes or seconds, by the longest run."""
    longest = max((result.training_seconds for result in results.runs), default=0.0)
    units = ((3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
    return next(Unit(f"training time, {name}", size) for least, size, name in units if longest >= least)


def memory(results: Results) -> Unit:
    """GiB or MiB, by the largest process."""
    most = max((result.record.get("peak_memory") or 0 for result in results.runs), default=0)
    name, size = ("GiB", 2.0**30) if most >= 2**30 else ("MiB", 2.0**20)
    return Unit(f"peak memory, {name}", size)


def rounded(value: float) -> str:
    """To three digits, and whole from 100 on."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
