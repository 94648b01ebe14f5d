"""Ridge solutions: critics on a line under a growing gradient penalty, and the value that a saddle's fakes lower."""

import itertools

import torch
from matplotlib.figure import Figure

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Saddle
from lightning_gantk.pictures import style

PENALTIES, RIDGE, STEP, STEPS = (0.0, 1.0, 10.0), 0.1, 0.1, 200


def _penalised(alpha: float, line: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Scores on a line of places, and the slope at the real: a fake at 1, a real at 0, Gaussian kernel of length 1."""
    critic = NTKDiscriminator(
        RBF(gamma=0.5), IPM(), dtype="float64", check_every=0, solution="ridge", ridge=1.0, gradient_penalty=alpha
    )
    critic.fit(torch.zeros(1, 1).double(), torch.ones(1, 1).double())
    at = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(at).sum(), at)
    with torch.no_grad():
        return critic(line[:, None]), float(slope)


def _values(loss: LSGAN | Saddle, real: torch.Tensor, fake: torch.Tensor) -> list[float]:
    """V, the best value of ``L(f) - (ridge / 2) |f|^2``, over the steps of fakes that follow the loss's c."""
    critic = NTKDiscriminator(RBF(gamma=0.5), loss, dtype="float64", check_every=0, solution="ridge", ridge=RIDGE)
    x, values = fake, []
    for _ in range(STEPS):
        at = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic.generator_loss(real, at), at)
        with torch.no_grad():
            on_fakes, on_reals = critic(x), critic(real)
            # At the maximum |f|^2 = sum of weight x score, each weight being mass x slope of the loss / ridge.
            weights = -2 * (on_fakes + 1), -2 * (on_reals - 1)
            norm = sum((w * f).mean() for w, f in zip(weights, (on_fakes, on_reals), strict=True)) / RIDGE
            value = -((on_fakes + 1) ** 2).mean() - ((on_reals - 1) ** 2).mean() - RIDGE / 2 * norm
        values.append(float(value))
        x = x - STEP * len(x) * gradient
    return values


@style.styled
def draw() -> Figure:
    drawn = style.figure(2.2, width=5.4)
    left, right = drawn.subplots(1, 2)
    line = torch.linspace(-2.5, 3.5, 121, dtype=torch.float64)
    for alpha in PENALTIES:
        scores, slope = _penalised(alpha, line)
        print(f"alpha = {alpha:4g}: slope at the real {slope:.6f}")
        left.plot(line, scores, label=f"$\\alpha$ = {alpha:g}")
    left.plot([0], [0], "o", color="black", markersize=4, label="real", clip_on=False)
    left.plot([1], [0], "o", color="white", markeredgecolor="black", markersize=4, label="fake")
    left.set(xlabel="x", ylabel="f")
    left.legend()
    stream = torch.Generator().manual_seed(0)
    real, fake = (0.5 * torch.randn(20, 1, generator=stream).double() + at for at in (0.0, 2.0))
    for name, loss in (("c = a, the saddle", Saddle(LSGAN())), ("c = $s^2$", LSGAN())):
        values = _values(loss, real, fake)
        rise = max(late - early for early, late in itertools.pairwise(values))
        print(f"{name:18s} V from {values[0]:.4f} to {values[-1]:.4f}, largest rise in a step {rise:.2g}")
        right.plot(values, label=name)
    right.axhline(-2.0, color="0.6", linestyle=":", label="f = 0")
    right.set(xlabel="step", ylabel="V")
    right.legend()
    return drawn
