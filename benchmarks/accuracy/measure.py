"""One case: our scores and directional derivatives beside those in high precision."""

import math
import warnings
from dataclasses import asdict, dataclass

import numpy as np
import torch
from flint import arb, arb_mat

from benchmarks.accuracy.cases import Batch, Setting
from benchmarks.accuracy.exact_flows import exact_weights
from benchmarks.accuracy.exact_kernels import Sample, exact_kernel, sample
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels.dynamics.accuracy import ROWS  # so many rows are compiled for anyway

_STEP = arb(
    "1e-24"
)  # of central differences, over the size of the sample: at a cusp they give the symmetric derivative


@dataclass(frozen=True)
class Result:
    """How one case went.

    Attributes:
        setting: Number of the kernel.
        number: Number of the batch.
        kind: Kind of the batch.
        what: The setting in words.
        scores: Error of the scores over max sum |w k|; NaN where a score was none, or the truth is not known.
        slopes: The same of the derivatives in one direction each, over max sum |w dk|.
        said: What the discriminator said itself: "" for nothing, or "warned", "raised".
        known: Whether the method in high precision got there.
    """

    setting: int
    number: int
    kind: str
    what: str
    scores: float
    slopes: float
    said: str
    known: bool

    def row(self) -> dict:
        """For JSON."""
        return asdict(self)


def measure(given: Setting, batch: Batch, index: int, number: int, discriminator: NTKDiscriminator) -> Result:
    """Measures one batch."""
    values, slopes, said = _ours(given, batch, discriminator)
    truth, true_slopes, scale, slope_scale = _truth(given, batch)
    known = bool(np.isfinite(truth).all() and np.isfinite(true_slopes).all())
    error, slope_error = math.nan, math.nan
    if values is not None and known:
        error = _relative(values - truth, scale)
        slope_error = _relative(slopes - true_slopes, slope_scale)
    return Result(index, number, batch.kind, str(given), error, slope_error, said, known)


def _relative(difference: np.ndarray, scale: float) -> float:
    largest = float(np.abs(difference).max())
    return largest / scale if scale > 0 else (0.0 if largest == 0 else math.inf if largest == largest else largest)


def _ours(
    given: Setting, batch: Batch, discriminator: NTKDiscriminator
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one discriminator warns once, and has a hundred batches here
        try:
            discriminator.fit(torch.from_numpy(batch.real), torch.from_numpy(batch.fake))
        except TrainingDiverged:
            return None, None, "raised"
        asked = batch.fake if given.at_fakes else np.resize(batch.test, (ROWS, *given.shape))
        x = torch.from_numpy(asked).requires_grad_()
        scores = discriminator(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x)
    count = len(batch.test)
    slopes = (gradient[:count].double().numpy() * batch.direction).reshape(count, -1).sum(1)
    return scores[:count].detach().double().numpy(), slopes, "warned" if discriminator.resolution.doubts else ""


def _truth(given: Setting, batch: Batch) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Scores, derivatives, and the largest sums of what they are sums of."""
    size = given.shape[1:] if len(given.shape) == 3 else (1, 1)
    points = [sample(np.asarray(p, np.float64)) for p in (*batch.fake, *batch.real)]
    matrix = arb_mat(len(points), len(points))
    for i, x in enumerate(points):
        for j, p in enumerate(points[: i + 1]):
            matrix[i, j] = matrix[j, i] = exact_kernel(given.kernel, x, p, size)
    weights = exact_weights(given.loss, given.time, matrix, len(batch.fake))
    rows = []
    for x, direction in zip(batch.test, batch.direction, strict=True):
        step = _STEP * (float(np.abs(x).max()) or 1.0)
        middle, sides = sample(np.asarray(x, np.float64)), []
        for sign in (-1, 1):
            moved = _moved(middle, sample(np.asarray(direction, np.float64)), sign * step)
            sides.append([exact_kernel(given.kernel, moved, p, size) for p in points])
        slopes = [((high - low) / (2 * step)).mid() for low, high in zip(*sides, strict=True)]
        rows.append(([exact_kernel(given.kernel, middle, p, size) for p in points], slopes))
    sums = [[_sums(weights, column) for column in row] for row in rows]
    scores, slopes = (np.array([row[k][0] for row in sums]) for k in (0, 1))
    scale, slope_scale = (max(row[k][1] for row in sums) for k in (0, 1))
    return scores, slopes, scale, slope_scale


def _moved(x: Sample, direction: Sample, step: arb) -> Sample:
    return [[a + step * b for a, b in zip(u, v, strict=True)] for u, v in zip(x, direction, strict=True)]


def _sums(weights: list[arb], values: list[arb]) -> tuple[float, float]:
    """``sum w k`` and ``sum |w k|``."""
    terms = [w * k for w, k in zip(weights, values, strict=True)]
    return float(sum(terms, arb(0)).mid()), float(sum((abs(t) for t in terms), arb(0)).mid())
