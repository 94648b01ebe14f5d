"""Discriminators around another."""

from collections.abc import Iterable

from torch import Tensor

from lightning_gantk.checks import in_words
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError


class Wrapper(Discriminator):
    """Another discriminator with something changed: one of your own overrides what it changes.

    Args:
        discriminator: The other. Loss and time are its.

    Raises:
        ConfigError: If it is none, or is differentiated through its own training, or gives the generator other scores
            than anybody else.

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP, LSGAN, FiniteDiscriminator
        >>> from lightning_gantk.discriminators import Wrapper
        >>> class Clipped(Wrapper):
        ...     def forward(self, x):
        ...         return super().forward(x).clamp(-1, 1)
        >>> discriminator = Clipped(FiniteDiscriminator(MLP(1), LSGAN(), width=16))
        >>> discriminator.time
        1.0
    """

    def __init__(self, discriminator: Discriminator):
        name = type(self).__name__
        if not isinstance(discriminator, Discriminator):
            raise ConfigError(f"{name} needs a discriminator, got {in_words(discriminator)}.")
        if not discriminator.scores_all_alike:
            inner = type(discriminator).__name__
            why = "is differentiated through its own training" if discriminator.single_level else "scores noisy fakes"
            raise ConfigError(f"{name} stands around the scores of samples, and {inner} {why}.")
        super().__init__(loss=discriminator.loss, time=discriminator.time)
        self.discriminator = discriminator

    def condition_on(self, channels: int) -> None:
        super().condition_on(channels)
        self.discriminator.condition_on(channels)

    def build(self, in_shape: tuple[int, ...]) -> None:
        self.discriminator.build(in_shape)

    @property
    def scores_before_fit(self) -> bool:
        return self.discriminator.scores_before_fit

    @property
    def sees_all_reals(self) -> bool:
        return self.discriminator.sees_all_reals

    def prepare(self, reals: Iterable[Tensor]) -> None:
        self.discriminator.prepare(reals)

    def succeed(self, state: dict[str, Tensor]) -> None:
        self.discriminator.succeed(state)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        self.discriminator.fit(real, fake)

    def forward(self, x: Tensor) -> Tensor:
        return self.discriminator(x)

    def check(self) -> None:
        self.discriminator.check()

    def gram(self, x: Tensor) -> Tensor | None:
        return self.discriminator.gram(x)
