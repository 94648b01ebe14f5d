"""Score critics: the field of the closed one at three levels of noise, and how they drive one Gaussian to another."""

import torch
from matplotlib.figure import Figure

from lightning_gantk.denoisers import MLPDenoiser
from lightning_gantk.discriminators import DenoiserScore, KDEScore
from lightning_gantk.pictures import fields, style

LEVELS, SIDE, REACH, MU = (0.3, 1.0, 3.0), 61, 3.0, 1.0
COUNTS, SEEDS, STEPS = (50, 500), 20, 2000


def _drift(sigma: float, count: int) -> tuple[float, float]:
    """Mean of ``-grad f`` at noisy fakes of N(mu, 1) against N(0, 1), and its deviation over draws."""
    critic, found = KDEScore(sigma, sigma), []
    for seed in range(SEEDS):
        stream = torch.Generator().manual_seed(seed)
        real, fake = (torch.randn(count, 1, generator=stream, dtype=torch.float64) + mu for mu in (0.0, MU))
        critic.fit(real, fake)
        at = (fake + sigma * torch.randn(fake.shape, generator=stream, dtype=torch.float64)).requires_grad_()
        found.append(-torch.autograd.grad(critic(at).sum(), at)[0].mean())
    return float(torch.stack(found).mean()), float(torch.stack(found).std())


def _learnt() -> DenoiserScore:
    """Two denoisers of the same Gaussians, trained on fresh samples of them."""
    torch.manual_seed(0)
    network = MLPDenoiser((1,), hidden=(64, 64), embedding=16)
    critic = DenoiserScore(network, sigma_min=0.1, sigma_max=10.0, sigma_data=1.0, steps=1)
    for _ in range(STEPS):
        critic.fit(*(torch.randn(256, 1) + mu for mu in (0.0, MU)))
    return critic


@torch.no_grad()
def _learnt_drift(critic: DenoiserScore, sigma: float) -> float:
    """Mean of ``-grad f`` at noisy fakes."""
    at = MU + (1 + sigma**2) ** 0.5 * torch.randn(10_000, 1, generator=torch.Generator().manual_seed(1))
    level = torch.full((len(at),), sigma)
    return float((critic.real(at, level) - critic.fake(at, level)).mean()) / sigma


@style.styled
def draw() -> Figure:
    stream = torch.Generator().manual_seed(0)
    angles = torch.arange(40) * 2 * torch.pi / 5
    real = 1.8 * torch.stack([angles.cos(), angles.sin()], 1) + 0.1 * torch.randn(40, 2, generator=stream)
    fake = 0.4 * torch.randn(20, 2, generator=stream)
    drawn = style.figure(1.9, width=6.6)
    *panels, last = drawn.subplots(1, 4, width_ratios=[1, 1, 1, 1.3])
    limits = (-REACH, REACH, -REACH, REACH)
    for ax, sigma in zip(panels, LEVELS, strict=True):
        critic = KDEScore(sigma, sigma)
        critic.fit(real, fake)
        field = fields.score_field(critic, limits, like=fake, side=SIDE)
        fields.show_field(ax, field, limits, style.around_zero(field))
        style.scatter(ax, real.numpy(), real=True)
        style.scatter(ax, fake.numpy(), real=False)
        ax.set(title=f"$\\sigma$ = {sigma:g}", xticks=[], yticks=[], xlabel="", ylabel="", aspect="equal")
    sigmas = torch.logspace(-1, 1, 9, dtype=torch.float64)
    exact = [-MU * float(sigma) / (1 + float(sigma) ** 2) for sigma in sigmas]
    for count in COUNTS:
        means, deviations = zip(*(_drift(float(sigma), count) for sigma in sigmas), strict=True)
        off = max(abs(mean - wanted) for mean, wanted in zip(means, exact, strict=True))
        told = ", ".join(f"{mean:.3f}" for mean in means)
        print(f"{count} samples: drift {told}; at most {off:.3f} from the exact one")
        last.errorbar(sigmas, means, deviations, fmt="o", markersize=2.5, linewidth=0.8, label=f"{count} samples")
    critic = _learnt()
    learnt = [_learnt_drift(critic, float(sigma)) for sigma in sigmas]
    off = max(abs(found - wanted) for found, wanted in zip(learnt, exact, strict=True))
    print(f"learnt: drift {', '.join(f'{one:.3f}' for one in learnt)}; at most {off:.3f} from the exact one")
    last.plot(sigmas, learnt, "s", markersize=2.5, label="learnt")
    last.plot(sigmas, exact, "k-", linewidth=0.8, label="exact")
    last.set(xscale="log", xlabel="$\\sigma$", title="drift of N(1, 1) to N(0, 1)")
    last.legend(fontsize=6)
    return drawn
