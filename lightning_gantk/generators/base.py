"""What a generator is to the rest of the framework."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_gantk.checks import sample_shape, whole


class Generator(nn.Module, ABC):
    """Maps latent samples to samples of a fixed shape. One of your own implements ``latent`` and ``forward``.

    Args:
        out_shape: Shape of one sample, ``(C, H, W)`` or ``(d,)``.
        classes: How many classes it makes samples of, where latents know a class: ``latent_of`` then draws
            latents of given classes, and ``labels`` reads them off.

    Attributes:
        out_shape: The same, as a tuple.
        classes: The same.
        theory: What plain gradient descent moves it by and no other optimizer does, where it is made to follow that; ""
            for one that any optimizer may train.

    Raises:
        ConfigError: If ``out_shape`` is neither, or there are fewer than two classes.

    Examples:
        >>> import torch
        >>> from lightning_gantk.generators import Generator
        >>> class Ring(Generator):
        ...     def __init__(self):
        ...         super().__init__(out_shape=(2,))
        ...         self.radius = torch.nn.Parameter(torch.ones(()))
        ...     def latent(self, n, *, device=None, generator=None):
        ...         return 2 * torch.pi * torch.rand(n, device=device, generator=generator)
        ...     def forward(self, latent):
        ...         return self.radius * torch.stack([latent.cos(), latent.sin()], dim=1)
        >>> ring = Ring()
        >>> ring(ring.latent(5)).shape
        torch.Size([5, 2])
    """

    theory: str = ""

    def __init__(self, *, out_shape: Sequence[int], classes: int | None = None):
        super().__init__()
        whole("classes", classes, 2, or_none=True)
        self.classes = classes
        self.out_shape = sample_shape("out_shape", out_shape)

    @abstractmethod
    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``n`` latent samples, ``(n, ...)``.

        Args:
            n: How many.
            device: Where they are wanted; the CPU where none is given.
            generator: Source of random numbers; torch's global one of ``device`` where none is given. One on the CPU
                gives the same samples on every device.
        """

    def fixed_latent(self, n: int, seed: int) -> Tensor:
        """The latents ``(n, ...)`` that a seed gives in evaluation, on the CPU: of samples that are looked at."""
        training, self.training = self.training, False
        try:
            return self.latent(n, generator=torch.Generator().manual_seed(seed))
        finally:
            self.training = training

    def latent_of(
        self, labels: Tensor, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws a latent of each of these classes ``(n,)``, for a generator with ``classes``; else as ``latent``."""
        raise NotImplementedError(f"{type(self).__name__} has 'classes', and no 'latent_of' to draw latents of them.")

    def labels(self, latent: Tensor) -> Tensor:
        """The classes ``(n,)``, int64, of latents ``(n, ...)`` of a generator with ``classes``."""
        raise NotImplementedError(f"{type(self).__name__} has 'classes', and no 'labels' to tell those of latents.")

    def population(self) -> Tensor | None:
        """Latents of all samples there are, on the CPU, where they are finitely many (particles); else None.

        Validation then measures these, each once, in the place of a random choice.
        """
        return None

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Samples ``(n, *out_shape)`` from latent samples.

        Images lie in [-1, 1]; those of more than one channel are in channels-last memory, so that they reach JAX, whose
        images are ``(N, H, W, C)``, with no copy.
        """
