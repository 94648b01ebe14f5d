"""How a step grows with the batch, as a plot."""

from pathlib import Path

import jax

from benchmarks import baselines, problems
from benchmarks.rows import RELU_DCGAN, RELU_MLP
from benchmarks.timing import median
from lightning_gantk.losses import IPM, LSGAN, Vanilla


def plot(path: Path, *, quick: bool = False) -> None:
    """Times steps (fit, scores, gradient) over n = m on 32x32x1 and writes a plot to ``path``."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for label, sizes, times in curves(quick=quick):
        axes.loglog(sizes, times, marker="o", linestyle="--" if "tangents" in label else "-", label=label)
    axes.set(xlabel="n = m", ylabel="seconds", title=f"One step on {jax.devices()[0].device_kind}, 32x32x1")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=150, bbox_inches="tight")


def curves(*, quick: bool) -> list[tuple[str, list[int], list[float]]]:
    """(label, sizes, seconds) of every curve, printed as they come."""
    most = 32 if quick else 16384
    found = []
    for label, architecture, loss, limit in (
        ("IPM, MLP", RELU_MLP, IPM(), 16384),
        ("LSGAN, MLP", RELU_MLP, LSGAN(), 4096),
        ("vanilla, MLP", RELU_MLP, Vanilla(), 4096),
        ("IPM, DCGAN", RELU_DCGAN, IPM(), 1024),
        ("IPM, MLP, neural-tangents", RELU_MLP, None, 2048),
        ("IPM, DCGAN, neural-tangents", RELU_DCGAN, None, 128),
    ):
        sizes, times = [], []
        n = 16 if quick else 64 if architecture is RELU_DCGAN else 128
        while n <= min(limit, most):
            given = problems.batch(n)
            if loss is None:
                whole = baselines.ipm(architecture)
                seconds = median(lambda f=whole, g=given: jax.block_until_ready(f(g.x, g.points, g.weights)), repeats=3)
            else:
                seconds = median(problems.infinite(architecture, loss, given), repeats=3)
            print(f"| {label} | {n} | {seconds:.4f} s |", flush=True)
            sizes.append(n)
            times.append(seconds)
            n *= 2
        found.append((label, sizes, times))
    return found
