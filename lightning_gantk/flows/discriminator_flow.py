"""Discriminator Flow: a GAN without a generator, whose discriminator depends on time."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from lightning_gantk.discriminators.gradient_penalty import GradientPenalty, Place
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.flows.flow_generator import FlowGenerator
from lightning_gantk.lightning_internals import configuration_is_given
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.metrics.base import Quality
from lightning_gantk.processes import own_part, processes
from lightning_gantk.timed.network import TimedNetwork
from lightning_gantk.training import first_batch, schedules
from lightning_gantk.training.measured import Measured

ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}  # the default optimizer's settings


class DiscriminatorFlow(Measured):
    r"""Trains a score f(x, t) so that the flow along its gradient leads from noise to data.

    Each step sends noise along the flow of the current f (``FlowGenerator``), keeps each sample at a step of its own, k
    of N, drawn evenly, and trains f by the adversarial loss to tell these from real samples at the same times k / N.
    What is learned at t is a discriminator of the particles as they are then, and the particles follow it: there is no
    generator's network (Franceschi et al., "Unifying GANs and score-based diffusion as generative particle models",
    NeurIPS 2023; the settings of its code are in docs/systems/flows.md).

    It has data, metrics, callbacks and checkpoints as ``GAN`` has. Logged: ``train/discriminator_loss``,
    ``train/penalty``, ``train/score_real``, ``train/score_fake``.

    Args:
        network: f, a torch module of samples ``(N, ...)`` and times ``(N,)``, such as ``TimedMLP``.
        loss: a and b train f, c is what particles lower.
        out_shape: ``(d,)`` or ``(C, H, W)``.
        steps: N, of the flow.
        eta: The flow's length.
        noise: Of the flow, see ``FlowGenerator``.
        start_mean: Of the noise that the flow starts from.
        start_std: Its standard deviation.
        stop: Steps of the flow that samples take; all where none is given.
        gradient_penalty: Weight of the mean of (|grad_x f| - penalty_center)^2.
        penalty_center: 1 as in WGAN-GP, or 0.
        penalty_at: "between" pairs of a real and a fake sample, at "real" or "fake" ones, or at "both".
        optimizer: Makes f's optimizer.
        scheduler: Makes a learning-rate schedule.
        quality: Metrics for validation.

    Raises:
        ConfigError: If an argument is out of range.
        TrainingDiverged: In training, at the first NaN or infinity of the loss.

    Examples:
        >>> from lightning_gantk import Vanilla
        >>> from lightning_gantk.flows import DiscriminatorFlow, TimedMLP
        >>> flow = DiscriminatorFlow(TimedMLP((2,), hidden=(16,), embedding=8), Vanilla(), (2,), steps=4)
        >>> flow.sample(flow.sampler.latent(5)).shape  # a LightningModule: Trainer(...).fit(flow, data) trains it
        torch.Size([5, 2])
    """

    def __init__(
        self,
        network: TimedNetwork,
        loss: AdversarialLoss,
        out_shape: Sequence[int] = (2,),
        *,
        steps: int = 56,
        eta: float = 20.0,
        noise: float = 0.0,
        start_mean: float = 0.0,
        start_std: float = 1.0,
        stop: int | None = None,
        gradient_penalty: float = 0.0,
        penalty_center: float = 1.0,
        penalty_at: Place = "between",
        optimizer: OptimizerCallable = lambda params: torch.optim.Adam(params, **ADAM),
        scheduler: LRSchedulerCallable | None = None,
        quality: Quality | None = None,
    ):
        super().__init__(quality=quality)
        plain = ("out_shape", "steps", "eta", "noise", "start_mean", "start_std", "stop")
        plain += ("gradient_penalty", "penalty_center", "penalty_at")
        self.save_hyperparameters(*(() if configuration_is_given() else plain))
        start = {"start_mean": start_mean, "start_std": start_std}
        self.generator = FlowGenerator(network, loss, out_shape, steps=steps, eta=eta, noise=noise, stop=stop, **start)
        self.penalty = GradientPenalty(gradient_penalty, penalty_center, penalty_at)
        self._make_optimizer, self._make_scheduler = optimizer, scheduler

    @property
    def sampler(self) -> FlowGenerator:
        return cast(FlowGenerator, self.generator)

    @property
    def described(self) -> str:
        flow = self.sampler
        return f"a flow of {flow.steps} steps along {type(flow.network).__name__} ({type(flow.loss).__name__})"

    def configure_optimizers(self) -> Any:
        return schedules.configured(self._make_optimizer, self._make_scheduler, self.generator.parameters())

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if not isinstance(batch, Tensor):
            raise ConfigError(f"A batch must be one tensor of samples, without labels; got {type(batch).__name__}.")
        generator, network = self.sampler, self.sampler.network
        first_batch.refuse_unfit(batch, generator.out_shape, "the batch")
        fake, time = self.particles(len(batch))
        fake = fake.to(batch.dtype)
        real_scores, fake_scores = network(batch, time), network(fake, time)
        loss = -generator.loss.discriminator(real_scores, fake_scores)
        if self.penalty.weight:
            everyones = torch.rand(len(batch) * processes(), device=self.device, dtype=batch.dtype)
            places = self.penalty.places(batch, fake, own_part(everyones))
            times = torch.cat([time, time]) if len(places) > len(time) else time
            penalty = self.penalty(lambda x: network(x, times), places)
            self.log("train/penalty", penalty.detach())
            loss = loss + self.penalty.weight * penalty
        if not loss.isfinite():
            raise TrainingDiverged(f"The timed discriminator's loss is {float(loss)} in step {self.global_step + 1}.")
        self.log("train/discriminator_loss", loss.detach(), prog_bar=True, sync_dist=True)
        for name, scores in (("real", real_scores), ("fake", fake_scores)):
            self.log(f"train/score_{name}", scores.detach().mean())
        return loss

    def particles(self, n: int) -> tuple[Tensor, Tensor]:
        """Samples of the flow ``(n, *out_shape)``, each at a step of its own, and their times ``(n,)``.

        Of several processes, which draw alike, each takes its part.
        """
        generator, total = self.sampler, n * processes()
        latent = own_part(generator.latent(total, device=self.device))
        step = own_part(torch.randint(generator.steps, (total,), device=self.device))
        return generator.flow_each(latent, step), step.to(latent.dtype) / generator.steps
