"""The distribution of errors, as a page."""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.accuracy.cases import ORDINARY

LIMITS = {"float32": 1e-4, "float64": 1e-8}  # of scores, over max sum |w k|
_INTRODUCTION = """# Accuracy

How far the scores of the infinitely wide discriminator are from the truth, over drawn cases: kernels (MLP, ResNet and
DCGAN with six activations, with and without LayerNorm and biases; RBF, Laplace, inverse multiquadric, energy distance),
losses, times from 0.01 to 10,000, samples from 1 to 40 dimensions and small pictures, ordinary and awkward. The truth
is worked out in 320 bits from the textbook formulas (`benchmarks/accuracy/exact_kernels.py`, `exact_flows.py`), of
which the package shares none.

```bash
uv run python -m benchmarks.accuracy --cases {cases} --seed {seed} --table docs/accuracy.md
```

An error is over the largest `sum_p |w_p k(x, p)|` of the test points, that of a derivative (in one direction) over the
largest sum of the same. A case counts as failed where the error of the scores is above 1e-4 in float32 or 1e-8 in
float64, or a score is no number, and the discriminator has said nothing: no warning that the dtype does not resolve the
batch, and no `TrainingDiverged`. Half of the kernels are asked at their own fakes, as in training.

At a sample of zeros without biases, and at the pixels of a background, a kernel with a cusp has no derivative: the
package gives the mean over all directions there, the survey's has the one direction, and the two differ.

"""


def is_failure(row: dict) -> bool:
    """Whether a case is wrong and nothing was said."""
    return bool(row["known"] and not row["said"] and not row["scores"] <= LIMITS[_dtype(row)])


def table(rows: list[dict], seed: int) -> str:
    """The page."""
    known = [row for row in rows if row["known"]]
    ordinary = [row for row in known if row["kind"] in ORDINARY]
    said = sum(bool(row["said"]) for row in ordinary)
    nans = sum(math.isnan(row["scores"]) and row["said"] != "raised" for row in known)
    summary = (
        f"{len(rows)} cases, {len(known)} with a known truth: {nans} without a number, "
        f"{sum(map(is_failure, known))} failed; {said} of {len(ordinary)} ordinary ones "
        f"({said / max(len(ordinary), 1):.2%}) warned of.\n\n"
    )
    parts = [
        _part("dtype and loss", known, lambda row: f"{_dtype(row)}, {_loss(row)}"),
        _part("dtype and kernel", known, lambda row: f"{_dtype(row)}, {_kernel(row)}"),
        _part("dtype and samples", known, lambda row: f"{_dtype(row)}, {row['kind']}"),
    ]
    return _INTRODUCTION.format(cases=len(rows), seed=seed) + summary + "\n".join(parts)


def failures(rows: list[dict], most: int = 40) -> str:
    """The failed cases in words, the worst first."""
    failed = sorted(
        filter(is_failure, rows), key=lambda row: -math.inf if math.isnan(row["scores"]) else -row["scores"]
    )
    lines = [f"{r['setting']}/{r['number']} {r['kind']}: {r['scores']:.1e} ({r['what']})" for r in failed[:most]]
    return "\n".join(lines)


def _part(title: str, rows: list[dict], key: Callable[[dict], str]) -> str:
    lines = [
        f"| {title} | cases | median | 99 % | largest | largest unsaid | derivatives, 99 % | said | failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted({key(row) for row in rows}):
        group = [row for row in rows if key(row) == name]
        errors = np.array([row["scores"] for row in group if not math.isnan(row["scores"])])
        slopes = np.array([row["slopes"] for row in group if not math.isnan(row["slopes"])])
        unsaid = [row["scores"] for row in group if not row["said"] and not math.isnan(row["scores"])]
        said = sum(bool(row["said"]) for row in group)
        figures = (_at(errors, 50), _at(errors, 99), _at(errors, 100), _at(np.array(unsaid), 100), _at(slopes, 99))
        failed = sum(map(is_failure, group))
        lines.append(f"| {name} | {len(group)} | {' | '.join(figures)} | {said} | {failed} |")
    return "\n".join(lines) + "\n"


def _at(values: np.ndarray, percent: float) -> str:
    return f"{np.percentile(values, percent, method='lower'):.1e}" if len(values) else ""


def _dtype(row: dict) -> str:
    return "float64" if ", float64, " in row["what"] else "float32"


def _loss(row: dict) -> str:
    return next(name for name in ("IPM", "LSGAN", "Hinge", "Vanilla") if f" {name}(" in row["what"])


def _kernel(row: dict) -> str:
    name = row["what"].removeprefix("ArchitectureKernel(").split("(")[0]
    return f"{name} with LayerNorm" if "layer_norm=True" in row["what"] else name
