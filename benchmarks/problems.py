"""Inputs of the rows, and our side of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import torch

from benchmarks import baselines
from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.discriminators import Discriminator, FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.generators import Generator
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.losses import AdversarialLoss

Array = jax.Array


@dataclass(frozen=True)
class Batch:
    """Fakes x, training points (fakes and then reals) and the IPM's weights.

    Attributes:
        x: ``(n, H, W, C)``.
        points: ``(2 n, H, W, C)``.
        weights: ``(2 n,)``.
    """

    x: Array
    points: Array
    weights: Array


def batch(n: int, size: int = 32, channels: int = 1) -> Batch:
    """Gaussian images: distances as far apart as they get, and every fake against itself."""
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (n, size, size, channels))
    points = jnp.concatenate([x, jax.random.normal(keys[1], x.shape) + 0.3])
    return Batch(x, points, jnp.concatenate([jnp.full(n, 1 / n), jnp.full(n, -1 / n)]))


def ipm(
    architecture: Architecture, given: Batch, backend: Literal["auto", "native", "jax"] = "auto"
) -> Callable[[], tuple[Array, Array]]:
    """Scores and gradient at the fakes, as a training step asks for them: the first of the points."""
    kernel, n = ArchitectureKernel(architecture, backend=backend), len(given.x)
    run = jax.jit(lambda p, w: expansion.scores_and_gradient_at_points(kernel, p, w, n))
    return lambda: jax.block_until_ready(run(given.points, given.weights))


def tensors(given: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(real, fake) in torch, on the GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    points = torch.from_dlpack(given.points.block_until_ready()).permute(0, 3, 1, 2).to(device)
    return points[len(given.x) :], points[: len(given.x)]


def step(discriminator: Discriminator, real: torch.Tensor, fake: torch.Tensor) -> Callable[[], torch.Tensor]:
    """What a training step asks of a discriminator: fit, scores of the fakes, gradient in the fakes."""

    def run() -> torch.Tensor:
        discriminator.fit(real, fake)
        x = fake.detach().requires_grad_()
        discriminator.loss.generator(discriminator(x)).backward()
        if x.is_cuda:
            torch.cuda.synchronize()
        assert x.grad is not None
        return x.grad

    return run


def whole(architecture: Architecture, given: Batch) -> Callable[[], torch.Tensor]:
    """What ``step`` gives for IPM, by neural-tangents with whole Gram matrices."""
    real, fake = tensors(given)
    function = baselines.ipm(architecture)

    def run() -> torch.Tensor:
        x, others = bridge.to_jax(fake), bridge.to_jax(real)
        return bridge.to_torch(function(x, jnp.concatenate([x, others]), given.weights)[1])

    return run


def adam(generator: Generator) -> torch.optim.Optimizer:
    """The optimizer of a generator that is timed."""
    return torch.optim.Adam(generator.parameters(), lr=1e-3)


def training_step(
    generator: Generator,
    optimizer: torch.optim.Optimizer,
    discriminator: Discriminator,
    real: torch.Tensor,
) -> Callable[[], None]:
    """A generator's whole step, by hand: fakes, fit, scores, gradient, optimizer."""

    def run() -> None:
        fake = generator(generator.latent(len(real), device=real.device))
        discriminator.fit(real, fake.detach())
        optimizer.zero_grad()
        discriminator.loss.generator(discriminator(fake)).backward()
        optimizer.step()
        if real.is_cuda:
            torch.cuda.synchronize()

    return run


def infinite(
    architecture: Architecture, loss: AdversarialLoss, given: Batch, time: float = 1.0
) -> Callable[[], torch.Tensor]:
    """``step`` of the infinite-width discriminator."""
    return step(NTKDiscriminator(architecture, loss, time=time), *tensors(given))


def finite(architecture: Architecture, loss: AdversarialLoss, width: int, given: Batch) -> Callable[[], torch.Tensor]:
    """``step`` of the finite one, with one optimizer step."""
    return step(FiniteDiscriminator(architecture, loss, width=width), *tensors(given))
