"""Which losses bring an affine generator to a Gaussian: ``python -m benchmarks.monoflow``.

The experiment of Yi, Zhu and Liu, ICML 2023, in two dimensions: the target is N(0, A A^T) with A = [[1, 0], [.8, .5]],
the generator W z + b starts at N((1, 1), I), and the discriminator is the exact log density ratio of the two, known in
closed form. Detached, as in every GAN, the generator's gradient passes through the samples alone; else it passes
through the ratio's own W and b too, as that of the true divergence does.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.tables import put
from lightning_gantk.analysis import is_monotone
from lightning_gantk.losses import AdversarialLoss, FDivergence, MonoFlow
from lightning_gantk.pictures.style import figure, save, styled

_A = torch.tensor([[1.0, 0.0], [0.8, 0.5]])
_CLIP = 5.0  # of the gradient's norm: exponentials of a log ratio are large far away
LOSSES: dict[str, AdversarialLoss] = {
    "logit (reverse KL)": MonoFlow("logit"),
    "ns": MonoFlow("ns"),
    "vanilla, C = 0": MonoFlow("vanilla"),
    "vanilla, C = 5": MonoFlow("vanilla", shift=5.0),
    "arcsinh": MonoFlow("arcsinh"),
    "exp": MonoFlow("exp"),
    "KL": FDivergence("kl"),
    "chi2": FDivergence("chi2"),
    "Hellinger": FDivergence("hellinger"),
    "JS": FDivergence("js"),
}


def run(loss: AdversarialLoss, *, detached: bool, steps: int = 3000, samples: int = 1000) -> tuple[Tensor, Tensor]:
    """Trains the generator by Adam, learning rate 0.01 falling to 0.001 in a straight line.

    Args:
        loss: Of the generator.
        detached: Whether the ratio is held fixed in the gradient.
        steps: How many.
        samples: Fakes of a step.

    Returns:
        The mean ``(2,)`` and the covariance ``(2, 2)`` of the generator at the end.
    """
    stream = torch.Generator().manual_seed(0)
    weight, bias = torch.eye(2).requires_grad_(), torch.ones(2).requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=steps)
    for _ in range(steps):
        fake = torch.randn(samples, 2, generator=stream) @ weight.T + bias
        own = (weight.detach(), bias.detach()) if detached else (weight, bias)
        ratio = _log_density(fake, _A, torch.zeros(2)) - _log_density(fake, *own)
        optimizer.zero_grad()
        loss.generator(ratio).backward()
        torch.nn.utils.clip_grad_norm_([weight, bias], _CLIP)
        optimizer.step()
        schedule.step()
    return bias.detach(), (weight @ weight.T).detach()


def table(steps: int) -> Iterator[str]:
    """The lines of the table."""
    yield "| loss of the generator | monotone | detached: mean, covariance | there | not detached: the same | there |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, loss in LOSSES.items():
        row = [name, "yes" if is_monotone(loss) else "no"]
        for detached in (True, False):
            mean, covariance = run(loss, detached=detached, steps=steps)
            row += [_told(mean, covariance), "yes" if reaches(mean, covariance) else "**no**"]
        yield f"| {' | '.join(row)} |"


def reaches(mean: Tensor, covariance: Tensor) -> bool:
    """Whether a Gaussian is the target to a tenth."""
    return bool(mean.abs().max() < 0.1) and bool((covariance - _A @ _A.T).abs().max() < 0.1)


@styled
def picture() -> Figure:
    """How fast a particle climbs the score, by its score: below 0 it goes the wrong way."""
    drawn = figure(2.3, width=6.6)
    scores = torch.linspace(-4, 4, 401)
    for axis, names in zip(drawn.subplots(1, 2), (list(LOSSES)[:6], list(LOSSES)[6:]), strict=True):
        for name in names:
            s = scores.clone().requires_grad_()
            (slope,) = torch.autograd.grad(LOSSES[name].c(s).sum(), s)
            axis.plot(scores, -slope, label=name)
        axis.axhline(0, color="0.6", linewidth=0.6)
        axis.set_ylim(-3, 3)
        axis.set_xlabel("score s, the log density ratio")
        axis.legend(loc="lower left", fontsize=6.5)
    drawn.axes[0].set_ylabel("-c'(s), the speed along grad s")
    return drawn


def main(arguments: list[str] | None = None) -> None:
    """Runs all, puts the table in its place and draws the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monoflow", description=__doc__)
    parser.add_argument("--steps", type=int, default=3000, help="generator steps of a run; 0: the picture alone")
    parser.add_argument("--output", type=Path, default=Path("docs/systems/monoflow.md"), help="where the table goes")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/systems/monoflow.png"), help="of speeds")
    options = parser.parse_args(arguments)
    save(picture(), options.picture, dpi=120)
    if options.steps:
        put(options.output, "benchmarks.monoflow", "\n".join(table(options.steps)))


def _log_density(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Of N(bias, weight weight^T), up to a constant, at ``(N, 2)``; ``(N,)``."""
    latent = torch.linalg.solve(weight, (x - bias).T).T
    return -latent.square().sum(1) / 2 - torch.linalg.slogdet(weight)[1]


def _told(mean: Tensor, covariance: Tensor) -> str:
    (a, b), (_, d) = covariance.tolist()
    return f"({mean[0]:.2f}, {mean[1]:.2f}), [{a:.2f}, {b:.2f}, {d:.2f}]"


if __name__ == "__main__":
    main()
