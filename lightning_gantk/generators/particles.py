"""Free particles: a generator whose parameters are the samples themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_gantk.checks import in_words, number, whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.latent import checked_labels
from lightning_gantk.processes import gathered, processes

if TYPE_CHECKING:
    from datamodules import DataModule


class Particles(Generator):
    r"""``n`` samples that are moved one by one: no network stands between the discriminator's gradient and a sample.

    This is the setting of the paper's synthetic experiments (Franceschi et al., ICML 2022, Section 6). A latent is a
    particle's number. Plain gradient descent, ``torch.optim.SGD(lr=eta)``, moves the b particles of a batch by

    .. math:: x \leftarrow x - \eta \, \nabla_x \tfrac1b \sum_i c(f(x_i)) = x - \tfrac{\eta}{b} \nabla c(f)(x)

    which is the paper's eta (1000 for 500 points: each moves by twice its own gradient). With ``per_particle=True`` it
    is ``x <- x - eta grad c(f)(x)`` for each of them: eta then keeps its meaning whatever n and the batch are.
    Optimizers with momentum, Adam among them, also move particles outside the batch.

    A batch of fewer than n is a random choice without repetition; a batch of n is all of them in order, and of more
    goes round again. Validation measures all n particles once. Images start in [-1, 1] and are free to leave.

    Args:
        n: How many particles; None takes as many as given samples.
        out_shape: ``(d,)`` or ``(C, H, W)``.
        start: Where they start: "normal" or "uniform" noise; or samples to copy: a tensor or an array
            ``(N, *out_shape)``, the path of an ``.npy`` or ``.pt`` file of one, or a data module, of which the first
            training samples are taken.
        noise: Standard deviation of the normal noise, half width of the uniform one, or standard deviation of normal
            noise added to given samples. None: 1 where there is only noise, 0 for given samples.
        classes: How many classes, where each particle is to be of one: particle i is of class i mod ``classes``.
        per_particle: Whether the gradient is that of each particle's own ``c(f(x))`` and not of the batch's mean.

    Attributes:
        samples: The particles, ``(n, *out_shape)``.
        start: "normal", "uniform" or "given", where they started.
        start_noise: Size of the noise there.

    Raises:
        ConfigError: If an argument is not one of those allowed, or there are fewer given samples than particles.

    Examples:
        >>> import torch
        >>> from lightning_gantk import Particles
        >>> particles = Particles(3, (2,), start=torch.zeros(3, 2), per_particle=True)
        >>> optimizer = torch.optim.SGD(particles.parameters(), lr=0.1)
        >>> particles(particles.latent(3)).mean(0).sum().backward()
        >>> optimizer.step()
        >>> particles.samples[0]  # per_particle: each by its own gradient, not by a third of it
        tensor([-0.1000, -0.1000], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self,
        n: int | None = 500,
        out_shape: Sequence[int] = (2,),
        *,
        start: "str | Tensor | np.ndarray | DataModule" = "normal",
        noise: float | None = None,
        per_particle: bool = False,
        classes: int | None = None,
    ):
        super().__init__(out_shape=out_shape, classes=classes)
        whole("n", n, or_none=True)
        if noise is not None:
            number("noise", noise)
        self.per_particle = per_particle
        self.start = start if isinstance(start, str) and start in ("normal", "uniform") else "given"
        self.start_noise = (0.0 if self.start == "given" else 1.0) if noise is None else noise
        if isinstance(start, str) and start in ("normal", "uniform"):
            if n is None:
                raise ConfigError(f"start={start!r} needs a number of particles: set 'n'.")
            scale = 1.0 if noise is None else noise
            shape = (n, *self.out_shape)
            samples = scale * (torch.randn(shape) if start == "normal" else 2 * torch.rand(shape) - 1)
        else:
            samples = self._given(start, n)
            samples = samples + noise * torch.randn_like(samples) if noise else samples
        if samples.ndim == 4:
            samples = samples.contiguous(memory_format=torch.channels_last)
        self.samples = nn.Parameter(samples)

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Indices of ``n`` particles, ``(n,)``, int64."""
        count = len(self.samples)
        if n >= count:
            return torch.arange(n, device=device) % count
        source = device if generator is None else generator.device
        chosen = torch.randperm(count, device=source, generator=generator)[:n]
        return chosen.to(device) if device is not None else chosen

    def latent_of(
        self, labels: Tensor, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        assert self.classes is not None  # or there are none to choose from
        chosen = self._of_classes(checked_labels(labels, len(labels), self.classes).cpu(), generator)
        return chosen.to(device) if device is not None else chosen

    def labels(self, latent: Tensor) -> Tensor:
        assert self.classes is not None  # or there are none
        return latent % self.classes

    def _of_classes(self, labels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Particles of these classes: of each class in a random order, and round again where they are too few."""
        assert self.classes is not None
        chosen = torch.empty_like(labels)
        for label in labels.unique().tolist():
            rows = (labels == label).nonzero().flatten()
            own = torch.arange(label, len(self.samples), self.classes)
            if len(own) == 0:
                raise ConfigError(f"{len(self.samples)} particles are too few for {self.classes} classes: raise 'n'.")
            source = None if generator is None or generator.device.type != "cpu" else generator
            order = own[torch.randperm(len(own), generator=source)] if len(rows) < len(own) else own
            chosen[rows] = order[torch.arange(len(rows)) % len(order)]
        return chosen

    def population(self) -> Tensor:
        return torch.arange(len(self.samples))

    def forward(self, latent: Tensor) -> Tensor:
        """Copies of particles, which stay as they are when the optimizer moves the originals."""
        check_numbers(latent)
        chosen = self.samples.index_select(0, latent)
        if chosen.ndim == 4:
            chosen = chosen.contiguous(memory_format=torch.channels_last)
        return _Scaled.apply(chosen, self.per_particle_factor(latent)) if self.per_particle else chosen

    def per_particle_factor(self, latent: Tensor) -> Tensor:
        """What the gradient of a batch's mean is multiplied by at each of its samples to be a particle's own, ``(N,)``.

        Of several processes each has a part of the batch, and the mean of their gradients is taken. A batch of more
        than n has particles more than once, whose gradients add up.
        """
        everyone = gathered(latent) if self.training and torch.is_grad_enabled() else latent
        one = torch.ones_like(everyone, dtype=self.samples.dtype)
        copies = one.new_zeros(len(self.samples)).index_add_(0, everyone, one)  # on a GPU the host waits for a bincount
        return len(latent) * processes() / copies[latent]

    def extra_repr(self) -> str:
        return f"n={len(self.samples)}, out_shape={self.out_shape}, per_particle={self.per_particle}"

    def _given(self, start: "str | Tensor | np.ndarray | DataModule", n: int | None) -> Tensor:
        """The first ``n`` given samples, as a new float32 tensor."""
        if isinstance(start, str):
            source, found = f"the file {start!r}", _read(Path(start))
        elif isinstance(start, Tensor):
            source, found = "the tensor", start
        elif isinstance(start, np.ndarray):
            source, found = "the array", torch.from_numpy(start)
        elif isinstance(start, type) or not hasattr(start, "prepare_data"):
            raise ConfigError(
                "'start' must be 'normal', 'uniform', a tensor (N, ...), an .npy or .pt file or a data module, "
                f"got {in_words(start)}."
            )
        else:
            start.prepare_data()
            start.setup("fit")
            source, data = type(start).__name__, start.train_dataset
            wanted = range(min(len(data), len(data) if n is None else n))
            found = torch.stack([data[i] for i in wanted])
        if tuple(found.shape[1:]) != self.out_shape or len(found) == 0:
            raise ConfigError(
                f"Particles of shape {self.out_shape} cannot start from {source}, which is of shape "
                f"{tuple(found.shape)}: expected (N, {', '.join(map(str, self.out_shape))})."
            )
        if n is not None and len(found) < n:
            raise ConfigError(f"{n} particles cannot start from {source}, which has {len(found)} samples: lower 'n'.")
        return found[:n].detach().to("cpu", torch.float32, copy=True)


class _Scaled(torch.autograd.Function):
    """The identity, with the gradient at each sample multiplied by a number of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(factors)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, None]:
        (factors,), (upstream,) = ctx.saved_tensors, upstreams
        return factors.view(-1, *(1,) * (upstream.ndim - 1)) * upstream, None


def check_numbers(latent: Tensor) -> None:
    """Refuses latents of particles that are not their numbers ``(N,)``, with a ConfigError."""
    if not isinstance(latent, Tensor) or latent.ndim != 1 or latent.dtype not in (torch.int64, torch.int32):
        found = f"{latent.dtype} {tuple(latent.shape)}" if isinstance(latent, Tensor) else in_words(latent)
        raise ConfigError(f"Latents of particles are their numbers, int64 (N,), got {found}: latent(n) draws them.")


def _read(path: Path) -> Tensor:
    try:
        if path.suffix == ".npy":
            return torch.from_numpy(np.load(path))
        if path.suffix == ".pt":
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"The start of the particles cannot be read from {str(path)!r}: {error}") from error
    raise ConfigError(f"'start' must be 'normal', 'uniform' or an .npy or .pt file, got {str(path)!r}.")
