"""Gradient flow where slopes are piecewise constant: exact, from one event to the next.

Between events every slope is constant and f moves along a line. A sample that comes to a kink of its loss crosses it,
or rests on it with the slope, between those of both sides, that holds it there (Filippov, "Differential Equations with
Discontinuous Righthand Sides", 1988). Which of them rest is a linear complementarity problem in the samples at their
kinks. It is solved by letting the slope of the sample that arrives go from one side to the other: those at rest give
way along a line, until the sample itself comes to rest, one of the others reaches the end of its range and leaves, or
one that stands at its kink is stopped by it. Each of these is one row more or less of a Cholesky factor. The function
is convex, so the solution is unique, whatever the order in which samples that arrive together are taken.

The loop runs on the host in float64: it is sequential, and an event is a product with the rows of those at rest.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr_delete, solve_triangular  # pyright: ignore[reportAttributeAccessIssue]  # compiled: no types

_RIDGE = {"float32": 2.4e-7, "float64": 2.3e-13}  # times sqrt(P), of the diagonal: above what rounding leaves of 0
_TOLERANCE = 1e-11  # of a score at its kink, over the largest score that can come about
_EVENTS = 100  # for each sample, after which to give up


class PiecewiseSolution(NamedTuple):
    """Weights ``(P,)``, how far the scores followed are from those of the weights, events, and whether it got there.

    The difference of the scores is over max sum |K w|. It is all that rounding has done: the scores that were followed
    obey the flow.
    """

    weights: np.ndarray
    drift: float
    events: int
    reached: bool


@dataclass(frozen=True)
class Staircase:
    """A slope that goes down in steps.

    Attributes:
        edges: ``-inf``, the kinks from low to high, ``inf``.
        levels: The slopes between two edges each, from high to low.
    """

    edges: np.ndarray
    levels: np.ndarray


class Gram(ABC):
    """The Gram matrix K ``(P, P)``, as far as the path asks for it; all that comes back is in float64.

    Attributes:
        dtype: The dtype that it was worked out in.
    """

    dtype: np.dtype

    @property
    @abstractmethod
    def diagonal(self) -> np.ndarray:
        """``(P,)``."""

    @abstractmethod
    def products(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``K v`` and ``|K| |v|``, ``(P,)`` each."""

    @abstractmethod
    def row(self, sample: int) -> np.ndarray:
        """``(P,)``, a new array."""

    @abstractmethod
    def hold(self, slot: int, row: np.ndarray) -> None:
        """Keeps a row for ``product_of_held``, in the place of one that was kept under the same number."""

    @abstractmethod
    def product_of_held(self, vector: np.ndarray) -> np.ndarray:
        """``sum_slot vector_slot row_slot``, ``(P,)``; rows that have never been held count as 0."""


class Held:
    """Rows ``(P,)`` that are kept, or the same part of each of them."""

    def __init__(self, length: int):
        self._rows = np.zeros((8, length))

    def hold(self, slot: int, row: np.ndarray) -> None:
        """As ``Gram.hold``."""
        while slot >= len(self._rows):
            self._rows = np.pad(self._rows, ((0, len(self._rows)), (0, 0)))
        self._rows[slot] = row

    def product(self, vector: np.ndarray) -> np.ndarray:
        """As ``Gram.product_of_held``."""
        return vector @ self._rows[: len(vector)]


class KeptGram(Gram):
    """One that is here as a whole."""

    def __init__(self, matrix: np.ndarray):
        self._matrix, self.dtype = matrix, matrix.dtype
        self._diagonal, self._held = np.diagonal(matrix).astype(np.float64), Held(len(matrix))

    @property
    def diagonal(self) -> np.ndarray:
        return self._diagonal

    def products(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blocks = [rows.astype(np.float64) for rows in np.array_split(self._matrix, max(1, len(vector) // 256))]
        sums = [(rows @ vector, np.abs(rows) @ np.abs(vector)) for rows in blocks]
        plain, sizes = zip(*sums, strict=True)
        return np.concatenate(plain), np.concatenate(sizes)

    def row(self, sample: int) -> np.ndarray:
        return self._matrix[sample].astype(np.float64)

    def hold(self, slot: int, row: np.ndarray) -> None:
        self._held.hold(slot, row)

    def product_of_held(self, vector: np.ndarray) -> np.ndarray:
        return self._held.product(vector)


def solve(
    gram: Gram, mass: np.ndarray, stairs: tuple[Staircase, Staircase], first: int, f_0: np.ndarray, time: float
) -> PiecewiseSolution:
    """Follows the flow ``w' = mass slope(f_0 + K w)`` from w = 0 for a time.

    A ridge of a few units of rounding, relative to each diagonal entry, makes the problem of equal samples definite.
    Scores are wrong by the ridge times k(x, x) w of the sample: far less than what rounding of the matrix does to them.

    Args:
        gram: K.
        mass: ``(P,)`` in float64; 0 on samples that only fill up.
        stairs: The slopes on the first group of samples and on the others.
        first: How many samples the first group has.
        f_0: ``(P,)``.
        time: Positive.

    Returns:
        The solution.
    """
    path = _Path(gram, mass, stairs, first, f_0, time)
    reached = path.follow()
    weights = path.weights
    scores, sizes = gram.products(weights)
    difference = np.abs(f_0 + scores + path.ridge * weights - path.f)[mass > 0]
    size = sizes[mass > 0].max(initial=0.0)
    drift = difference.max(initial=0.0) / size if size > 0 else 0.0
    return PiecewiseSolution(weights, float(drift), path.events, reached and bool(np.isfinite(drift)))


def ridge(dtype: str, points: int) -> float:
    """The ridge, over each diagonal entry of a matrix of so many points."""
    return _RIDGE[dtype] * points**0.5


class _Path:
    """The flow so far: scores f, their speeds v, weights w, slopes, and the samples at rest."""

    def __init__(
        self,
        gram: Gram,
        mass: np.ndarray,
        stairs: tuple[Staircase, Staircase],
        first: int,
        f_0: np.ndarray,
        time: float,
    ):
        count = len(mass)
        self.gram, self.mass, self.left = gram, mass, time
        self.ridge = ridge(gram.dtype.name, count) * np.abs(gram.diagonal)
        group = (np.arange(count) >= first).astype(int)
        length = max(len(s.edges) for s in stairs)
        self.edges = np.stack([np.pad(s.edges, (0, length - len(s.edges)), constant_values=np.inf) for s in stairs])
        self.edges = self.edges[group]
        self.levels = np.stack([np.pad(s.levels, (0, length - 1 - len(s.levels)), "edge") for s in stairs])[group]
        self.f, self.weights, self.events = f_0.astype(np.float64), np.zeros(count), 0
        self.piece = (self.f[:, None] > self.edges[:, 1:-1]).sum(1)  # the interval; below the kink for those on it
        self.rows = np.arange(count)
        self.slope = self.levels[self.rows, self.piece]
        self.resting = _Resting(gram)
        driven = mass * self.slope
        self.speed = gram.products(driven)[0] + self.ridge * driven
        diagonal = np.abs(gram.diagonal).max(initial=0.0)
        finite = np.abs(self.edges[np.isfinite(self.edges)]).max(initial=0.0)
        steepest = np.abs(self.levels).max(initial=0.0)
        self.slow = 1e-14 * diagonal * steepest  # a speed that is all rounding
        self.close = _TOLERANCE * (1 + finite + np.abs(f_0).max(initial=0.0))

    def follow(self) -> bool:
        """To the end of the time; whether it was reached."""
        most = _EVENTS * len(self.mass) + 1000
        while self.events < most and np.isfinite(self.speed).all():
            self._settle(most)
            step, sample, edge = self._next()
            self.f += step * self.speed
            self.weights += step * self.mass * self.slope
            self.left -= step
            if sample is None:
                return True
            self.f[sample] = edge
            self.events += 1
        return False

    def _next(self) -> tuple[float, int | None, float]:
        """Time until a sample comes to a kink, which and where; no sample where the time ends before."""
        down, up = self._around()
        with np.errstate(divide="ignore", invalid="ignore"):
            edge = np.where(self.speed > 0, up, down)
            times = np.where(np.abs(self.speed) > self.slow, (edge - self.f) / self.speed, np.inf)
        times[(self.mass == 0) | np.isnan(times)] = np.inf
        times[self.resting.samples] = np.inf
        sample = int(np.argmin(times))
        step = max(float(times[sample]), 0.0)
        return (self.left, None, 0.0) if step >= self.left else (step, sample, float(edge[sample]))

    def _around(self) -> tuple[np.ndarray, np.ndarray]:
        return self.edges[self.rows, self.piece], self.edges[self.rows, self.piece + 1]

    def _settle(self, most: int) -> None:
        """Lets samples at a kink that their speed drives over it turn, one after the other."""
        while self.events < most:
            below, above = self._standing()
            driven = np.where(below, self.speed, np.where(above, -self.speed, 0.0))
            sample = int(np.argmax(driven))
            if not driven[sample] > self.slow:
                return
            self._turn(sample, upward=bool(below[sample]), most=most)

    def _standing(self) -> tuple[np.ndarray, np.ndarray]:
        """Samples below and above a kink on which they stand without being at rest."""
        down, up = self._around()
        free = self.mass > 0
        free[self.resting.samples] = False
        return free & (np.abs(self.f - up) <= self.close), free & (np.abs(self.f - down) <= self.close)

    def _turn(self, sample: int, *, upward: bool, most: int) -> None:
        """Moves the slope of a sample at its kink towards that of the other side until the sample is content."""
        direction = -1.0 if upward else 1.0  # slopes go down the stairs
        target = self.piece[sample] + (1 if upward else -1)
        while self.events < most:
            self.events += 1
            held = self.resting.samples
            lengths, change, response = self._response(sample, direction)
            goal = abs(self.levels[sample, target] - self.slope[sample])
            rest = (
                max(-self.speed[sample] / response[sample], 0.0)
                if response[sample] * self.speed[sample] < 0
                else np.inf
            )
            leaving, leaver = lengths
            entering, enterer = self._stopped(sample, response)
            step = min(goal, rest, leaving, entering)
            self.slope[sample] += direction * step
            self.slope[held] += step * change
            self.speed += step * response
            self.speed[held] = 0.0
            if step == goal:
                self.piece[sample], self.slope[sample] = target, self.levels[sample, target]
                return
            if step == rest:
                self._rest(sample, below=upward)
                return
            if step == leaving:
                self._leave(leaver, change[leaver])
            else:
                self._rest(enterer, below=bool(response[enterer] > 0))

    def _response(self, sample: int, direction: float) -> tuple[tuple[float, int], np.ndarray, np.ndarray]:
        """What a move of a sample's slope does: to those at rest, when the first leaves, and to all speeds."""
        resting, held = self.resting, self.resting.samples
        column = self._row(sample)
        share = resting.solve(column[held])
        response = direction * self.mass[sample] * (column - resting.product(share))
        change = -direction * self.mass[sample] * share / self.mass[held]
        low, high = self.levels[held, resting.kinks], self.levels[held, resting.kinks - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.where(change > 0, (high - self.slope[held]) / change, (low - self.slope[held]) / change)
        lengths[(change == 0) | np.isnan(lengths)] = np.inf
        first = int(np.argmin(lengths)) if len(held) else -1
        return (max(float(lengths[first]), 0.0) if len(held) else np.inf, first), change, response

    def _stopped(self, sample: int, response: np.ndarray) -> tuple[float, int]:
        """How far the slope can move until the kink stops another sample that stands on it, and which."""
        below, above = self._standing()
        candidates = (below & (response > 0) & (self.speed <= self.slow)) | (
            above & (response < 0) & (self.speed >= -self.slow)
        )
        candidates[sample] = False
        if not candidates.any():
            return np.inf, -1
        where = np.flatnonzero(candidates)
        lengths = np.maximum(-self.speed[where] / response[where], 0.0)
        first = int(np.argmin(lengths))
        return float(lengths[first]), int(where[first])

    def _rest(self, sample: int, *, below: bool) -> None:
        kink = int(self.piece[sample]) + (1 if below else 0)
        self.f[sample] = self.edges[sample, kink]
        self.speed[sample] = 0.0
        self.resting.add(sample, kink, self._row(sample))

    def _leave(self, position: int, change: float) -> None:
        """One at rest has reached the end of its range: it stands at its kink, on the side that it goes to."""
        sample, kink = self.resting.remove(position)
        self.piece[sample] = kink - 1 if change > 0 else kink
        self.slope[sample] = self.levels[sample, self.piece[sample]]

    def _row(self, sample: int) -> np.ndarray:
        row = self.gram.row(sample)
        row[sample] += self.ridge[sample]
        return row


class _Resting:
    """The samples at rest, in the order of a Cholesky factor of their block of K, and their rows of K."""

    def __init__(self, gram: Gram):
        self._gram = gram
        self.samples, self.kinks = np.zeros(0, int), np.zeros(0, int)
        self._slots = np.zeros(0, int)
        self._upper = np.zeros((8, 8))

    def add(self, sample: int, kink: int, row: np.ndarray) -> None:
        size = len(self.samples)
        if size == len(self._upper):
            self._upper = np.pad(self._upper, (0, size))
        above = self._forward(row[self.samples])
        pivot = row[sample] - above @ above
        self._upper[:size, size] = above
        self._upper[size, :size] = 0
        self._upper[size, size] = np.sqrt(max(pivot, np.finfo(float).eps * abs(row[sample])))
        free = np.setdiff1d(np.arange(size + 1), self._slots)[0]
        self._gram.hold(int(free), row)
        self._slots = np.append(self._slots, free)
        self.samples, self.kinks = np.append(self.samples, sample), np.append(self.kinks, kink)

    def remove(self, position: int) -> tuple[int, int]:
        size = len(self.samples)
        sample, kink = int(self.samples[position]), int(self.kinks[position])
        part = self._upper[position:size, position:size]
        _, lower = qr_delete(np.eye(len(part)), part, 0, which="col")
        self._upper[:position, position : size - 1] = self._upper[:position, position + 1 : size]
        self._upper[position : size - 1, position : size - 1] = lower[:-1]
        self.samples, self.kinks, self._slots = (
            np.delete(array, position) for array in (self.samples, self.kinks, self._slots)
        )
        return sample, kink

    def solve(self, right: np.ndarray) -> np.ndarray:
        """``K_SS^-1`` times a vector."""
        size = len(self.samples)
        if not size:
            return right
        return solve_triangular(self._upper[:size, :size], self._forward(right), check_finite=False)

    def product(self, vector: np.ndarray) -> np.ndarray:
        """``K_:S`` times a vector."""
        size = len(self.samples)
        if not size:
            return np.zeros(len(self._gram.diagonal))
        spread = np.zeros(int(self._slots.max()) + 1)
        spread[self._slots] = vector
        return self._gram.product_of_held(spread)

    def _forward(self, right: np.ndarray) -> np.ndarray:
        size = len(self.samples)
        if not size:
            return right
        return solve_triangular(self._upper[:size, :size], right, trans=1, check_finite=False)
