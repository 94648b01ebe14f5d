"""Discriminators of samples with classes, made of those without."""

from collections.abc import Iterable
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.discriminators.denoiser_score import DenoiserScore
from lightning_gantk.discriminators.kde_score import KDEScore
from lightning_gantk.discriminators.labels import parted, shape_without_label
from lightning_gantk.discriminators.ntk import NTKDiscriminator
from lightning_gantk.discriminators.private import PrivateMeanEmbedding
from lightning_gantk.discriminators.product_kernel import ProductKernel
from lightning_gantk.errors import ConfigError


class LabelInput(Discriminator):
    """Hands the class on as an input: K channels more of an image (coordinates of a vector), 1 in that of its class and
    0 in the others (Mirza and Osindero, "Conditional generative adversarial nets", 2014).

    Args:
        inner: The discriminator that sees them.
        classes: K.
    """

    def __init__(self, inner: Discriminator, classes: int):
        super().__init__(loss=inner.loss, time=inner.time)
        self.inner, self.classes = inner, classes
        inner.condition_on(classes)

    def build(self, in_shape: tuple[int, ...]) -> None:
        channels, *rest = shape_without_label(tuple(in_shape))
        self.inner.build((channels + self.classes, *rest))

    def fit(self, real: Tensor, fake: Tensor) -> None:
        self.inner.fit(self._spread(real), self._spread(fake))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self._spread(x))

    @property
    def sees_all_reals(self) -> bool:
        return self.inner.sees_all_reals

    def prepare(self, reals: Iterable[Tensor]) -> None:
        self.inner.prepare(self._spread(batch) for batch in reals)

    def succeed(self, state: dict[str, Tensor]) -> None:
        self.inner.succeed(state)

    def generator_scores(self, fake: Tensor) -> Tensor:
        return self.inner.generator_scores(self._spread(fake))

    @property
    def scores_all_alike(self) -> bool:
        return self.inner.scores_all_alike

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.inner.generator_loss(self._spread(real), self._spread(fake))

    def check(self) -> None:
        self.inner.check()

    def gram(self, x: Tensor) -> Tensor | None:
        return self.inner.gram(self._spread(x))

    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        return self.inner.statistics(real_scores, fake_scores)

    def _spread(self, together: Tensor) -> Tensor:
        samples, labels = parted(together)
        planes = one_hot(labels, self.classes).to(samples).view(len(samples), -1, *(1,) * (samples.ndim - 2))
        return torch.cat([samples, planes.expand(-1, -1, *samples.shape[2:])], dim=1)


@singledispatch
def conditional(discriminator: Discriminator, classes: int) -> Discriminator:
    """A discriminator of samples with a class (see ``labels``), made of one of samples without.

    The class is an input, unless another way is registered for a kind of discriminator.
    """
    return LabelInput(discriminator, classes)


@conditional.register
def _(discriminator: NTKDiscriminator, classes: int) -> Discriminator:
    if not discriminator.fits_parts:
        raise ConfigError(
            "With classes an infinitely wide discriminator is one for each class, fitted anew at each step by a flow "
            "or the ridge solution of its loss: leave out 'keep', 'gradient_penalty' and 'features', or 'classes' of "
            "the generator."
        )
    return ProductKernel(discriminator, classes)


@conditional.register(KDEScore)
@conditional.register(DenoiserScore)
def _(discriminator: Discriminator, classes: int) -> Discriminator:
    raise ConfigError(
        f"{type(discriminator).__name__} compares densities at levels of noise, and a class has none: leave out "
        "'classes' of the generator."
    )


@conditional.register
def _(discriminator: PrivateMeanEmbedding, classes: int) -> Discriminator:
    return discriminator.of_classes(classes)
