"""What every part is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Sizes and lengths.

    Attributes:
        tiny: Take the smallest sizes.
        seconds: Length of a run on pictures.
        repeats: Timings of each side.
        cases: What the names of architectures whose correctness is asked for begin with; all where it is empty.
        losses: Names of those whose discriminators are timed.
    """

    tiny: bool = False
    seconds: float = 300.0
    repeats: int = 5
    cases: str = ""
    losses: tuple[str, ...] = ("IPM", "LSGAN", "Vanilla", "Hinge")
