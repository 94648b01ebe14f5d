"""The score GAN, learnt."""

from collections.abc import Iterable

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from lightning_gantk.checks import number, whole
from lightning_gantk.denoisers.denoiser import Denoiser, over
from lightning_gantk.discriminators.base import Discriminator, check_batch, fitting_alone
from lightning_gantk.discriminators.finite import OptimizerFactory
from lightning_gantk.discriminators.noise_levels import NoiseLevels
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM
from lightning_gantk.processes import rank
from lightning_gantk.timed.network import TimedNetwork


class DenoiserScore(Discriminator):
    r"""Two denoisers, one of the data and one of the fakes, whose difference moves the fakes (Score GAN).

    The generator's samples, with noise of a random size sigma added, move against

    .. math:: \sigma (\nabla \log p_{fake} - \nabla \log p_{real}) = (D_{fake} - D_{real}) / \sigma,

    where exact denoisers lead down the KL divergence at every level (Franceschi et al., "Unifying GANs and score-based
    diffusion as generative particle models", NeurIPS 2023). A difference of denoisers has no potential in general; the
    scores that anybody else asks for are ``(|x - D_real(x)|^2 - |x - D_fake(x)|^2) / (2 sigma)`` at the middle level,
    without noise, which is that log ratio of two Gaussians where sigma is large against them. Fakes score high.

    Each ``fit`` trains the denoiser of the fakes by ``steps`` steps, and that of the data as well, unless it was
    trained before the run (``pretrain``) and stands still then, as in the paper. Sizes of noise are those of
    ``KDEScore``, which has the same in closed form.

    Where several processes work on the run, each takes the gradient of its part of the batch, all take the mean of
    these, and so the same step.

    Args:
        network: A torch module of noisy samples ``(N, ...)`` and numbers ``(N,)`` (a quarter of the logarithm of the
            noise) that gives samples, such as ``denoisers.MLPDenoiser`` or ``denoisers.UNet``; both denoisers are
            copies of it, preconditioned (see ``denoisers.Denoiser``).
        sigma_min: The least noise, positive, in the units of the samples.
        sigma_max: The most.
        rho: How much of the levels is small; 1 spreads them evenly.
        sigma_data: The standard deviation of the samples; that of images in [-1, 1] is about 0.5.
        steps: Optimizer steps per ``fit``.
        pretrain: Optimizer steps of the data's denoiser before the run, on all reals, which are kept in memory during
            that; 0 trains it along with the other. Its learning rate falls to 0 by a cosine.
        pretrain_batch_size: Samples of such a step.
        optimizer: Makes the optimizer of each denoiser.

    Raises:
        ConfigError: If an argument is out of range, or the network does not give samples of the shape that it takes.

    Examples:
        >>> import torch
        >>> from lightning_gantk.denoisers import MLPDenoiser
        >>> from lightning_gantk.discriminators import DenoiserScore
        >>> network = MLPDenoiser((1,), hidden=(16,), embedding=8)
        >>> discriminator = DenoiserScore(network, sigma_min=0.1, sigma_max=2.0, steps=50)
        >>> discriminator.fit(torch.zeros(32, 1), torch.ones(32, 1))
        >>> scores = discriminator(torch.tensor([[0.0], [1.0]]))
        >>> bool(scores[0] < scores[1])  # fakes score high
        True
    """

    pretrained: Tensor

    def __init__(
        self,
        network: TimedNetwork,
        sigma_min: float = 0.1,
        sigma_max: float = 10.0,
        rho: float = 3.0,
        *,
        sigma_data: float = 0.5,
        steps: int = 10,
        pretrain: int = 0,
        pretrain_batch_size: int = 128,
        optimizer: OptimizerFactory = lambda params: torch.optim.Adam(params, lr=1e-3),
    ):
        super().__init__(loss=IPM(), time=None)
        if not isinstance(network, nn.Module):
            raise ConfigError(f"'network' must be a torch module that takes samples and levels, got {network!r}.")
        self.levels = NoiseLevels(sigma_min, sigma_max, rho)
        number("sigma_data", sigma_data, positive=True)
        counts = ("steps", steps, 1), ("pretrain", pretrain, 0), ("pretrain_batch_size", pretrain_batch_size, 1)
        for name, value, least in counts:
            whole(name, value, least)
        self.steps, self.pretrain, self.pretrain_batch_size = steps, pretrain, pretrain_batch_size
        self.real, self.fake = (Denoiser(network, optimizer, sigma_data) for _ in range(2))
        self.register_buffer("pretrained", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def build(self, in_shape: tuple[int, ...]) -> None:
        like = next(self.real.parameters(), torch.zeros(()))
        try:
            self.real(like.new_zeros(1, *in_shape), like.new_ones(1))
        except RuntimeError as error:  # torch's, of shapes that do not fit
            raise ConfigError(
                f"The denoiser's network does not take samples of shape {tuple(in_shape)} (its 'in_shape'?): {error}"
            ) from error

    @property
    def sees_all_reals(self) -> bool:
        return self.pretrain > 0

    def prepare(self, reals: Iterable[Tensor]) -> None:
        """Trains the denoiser of the data on all reals, given in batches ``(B, ...)``. A checkpoint has it already."""
        if self.pretrained or not self.pretrain:
            return
        batches = list(reals)
        if not batches:
            raise ConfigError("DenoiserScore needs real samples to train on before the run, got none.")
        device, samples = batches[0].device, torch.cat([batch.cpu() for batch in batches])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.real.optimizer, self.pretrain)
        with fitting_alone(self):
            for _ in _shown(self.pretrain, "Denoiser of the data"):
                chosen = samples[torch.randint(len(samples), (self.pretrain_batch_size,))].to(device)
                self._step(self.real, chosen)
                schedule.step()
        self.pretrained.fill_(True)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Takes ``steps`` steps of the denoiser of the fakes ``(N, ...)``, and of the data's ``(M, ...)`` where it is
        not trained already.
        """
        check_batch(real, fake)
        if self.pretrain and not self.pretrained:
            raise ConfigError(
                "DenoiserScore trains the denoiser of the data before the run: call prepare(reals) first; in a run GAN "
                "does it."
            )
        with fitting_alone(self):
            for _ in range(self.steps):
                if not self.pretrain:
                    self._step(self.real, real.detach())
                self._step(self.fake, fake.detach())

    def _step(self, denoiser: Denoiser, samples: Tensor) -> None:
        denoiser.step(samples, self.levels.draw(samples))

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, differentiable in them."""
        sigma = self.levels.middle(x)
        return _scores(x, sigma, *self._denoised(x, sigma))

    def generator_scores(self, fake: Tensor) -> Tensor:
        """Scores ``(N,)`` of noisy fakes ``(N, ...)``, whose gradient is ``(D_fake - D_real) / sigma``."""
        x, sigma = self.levels.noisy(fake)
        with torch.no_grad():
            real, fake = self._denoised(x, sigma)
            drift, scores = (fake - real) / over(sigma, x), _scores(x, sigma, real, fake)
        along = (x * drift).flatten(1).sum(1)
        return scores + along - along.detach()

    def _denoised(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """What the data's and the fakes' denoiser make of samples ``(N, ...)``."""
        return self.real(x, sigma), self.fake(x, sigma)

    def extra_repr(self) -> str:
        return f"{self.levels}, sigma_data={self.real.sigma_data:g}, steps={self.steps}, pretrain={self.pretrain}"


def _shown(steps: int, what: str) -> Iterable[int]:
    """Numbers of steps, with a bar on a terminal: this takes minutes, and comes before a run's own bar."""
    console = Console(stderr=True)
    return track(range(steps), what, console=console, transient=True, disable=rank() > 0 or not console.is_terminal)


def _scores(x: Tensor, sigma: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """The difference of two denoisers' errors of samples ``(N, ...)``, ``(N,)``."""
    errors = [(x - denoised).flatten(1).square().sum(1) for denoised in (real, fake)]
    return (errors[0] - errors[1]) / (2 * sigma)
