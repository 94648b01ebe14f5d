"""What runs have logged: scalars from TensorBoard's event files, read on as they grow."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_TRAINING = "time/training"  # what a run logs at each validation: the seconds that count


@dataclass
class Series:
    """One scalar of a run.

    Attributes:
        points: Value and seconds of training by step. Seconds are those that a run logs at its validations, straight
            between these; of a run that logs none they are counted from the beginning of its logs; time between
            attempts does not count, nor does work that was lost and done again.
    """

    points: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        """In order."""
        return sorted(self.points)

    def values(self) -> dict[int, float]:
        """By step, in order."""
        return {step: self.points[step][0] for step in self.steps}

    def seconds(self) -> dict[int, float]:
        """By step, in order."""
        return {step: self.points[step][1] for step in self.steps}

    def before(self, seconds: float) -> float:
        """The last value until then of a generator that had been trained; NaN where there is none."""
        known = (step for step in reversed(self.steps) if step > 0 and self.points[step][1] <= seconds)
        return next((self.points[step][0] for step in known), math.nan)


class Logs:
    """The scalars in a run's folder.

    A run that goes on after an interruption begins another file, which says from which step on the ones before it are
    void.

    Args:
        folder: With event files; it may still be missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.scalars: dict[str, Series] = {}
        self._files: dict[Path, _File] = {}

    def refresh(self) -> "Logs":
        """Reads what was added."""
        for path in sorted(self.folder.glob("events.out.tfevents.*"), key=_began):
            if path not in self._files:
                self._files[path] = _File(path)
            for event in self._files[path].loader.Load():
                self._take(event, self._files[path])
        if spent := self._spent():
            for series in self.scalars.values():
                seconds = np.interp(list(series.points), list(spent), list(spent.values())).tolist()
                points = zip(series.points.items(), seconds, strict=True)
                series.points = {step: (value, at) for (step, (value, _)), at in points}
        return self

    def step(self) -> int:
        """The last one of which something was logged."""
        return max((max(series.points) for series in self.scalars.values() if series.points), default=0)

    def seconds(self) -> float:
        """Of training, until the last thing logged."""
        return max(spent.values()) if (spent := self._spent()) else self._logged_seconds()

    def _spent(self) -> dict[int, float]:
        """Seconds that count, by step."""
        return self.scalars[_TRAINING].values() if _TRAINING in self.scalars else {}

    def _logged_seconds(self) -> float:
        return max((seconds for series in self.scalars.values() for _, seconds in series.points.values()), default=0.0)

    def _take(self, event: Any, file: "_File") -> None:
        if file.start is None:
            file.start, file.before = event.wall_time, self._logged_seconds()
        if event.HasField("session_log") and event.session_log.status == event.session_log.START:
            for series in self.scalars.values():
                series.points = {step: point for step, point in series.points.items() if step < event.step}
            file.before = self._logged_seconds()
        for value in event.summary.value:
            if value.HasField("simple_value"):
                point = (value.simple_value, file.before + event.wall_time - file.start)
                self.scalars.setdefault(value.tag, Series()).points.setdefault(event.step, point)


class _File:
    """An event file, and the clock in it."""

    def __init__(self, path: Path):
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

        self.loader = LegacyEventFileLoader(str(path))
        self.start: float | None = None
        self.before = 0.0


def _began(path: Path) -> tuple[int, str]:
    """When it was begun, which is in its name."""
    seconds = path.name.split(".")[3]
    return (int(seconds) if seconds.isdigit() else 0, path.name)
