"""The infinitely wide discriminator of samples with classes."""

import copy

import torch
from torch import Tensor

from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.discriminators.labels import parted, shape_without_label
from lightning_gantk.discriminators.ntk import NTKDiscriminator
from lightning_gantk.errors import ConfigError


class ProductKernel(Discriminator):
    r"""The flow under the product kernel :math:`k(x, x') [l = l']` of samples x with classes l.

    Points of different classes do not meet, so that the flow falls apart into one for each class, over its points alone
    and with the masses 1/n and 1/m of the whole batch: K small problems, which together cost 1/K of the one large one.

    Args:
        inner: Kernel, loss, time, and how they are solved.
        classes: K.
    """

    def __init__(self, inner: NTKDiscriminator, classes: int):
        super().__init__(loss=inner.loss, time=inner.time)
        self.inner, self.classes = inner, classes
        self._of_class: dict[int, NTKDiscriminator] = {}
        self._fitted: frozenset[int] = frozenset()

    def build(self, in_shape: tuple[int, ...]) -> None:
        self.inner.build(shape_without_label(tuple(in_shape)))

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Finds the dual weights of each class.

        Args:
            real: ``(M, ...)``, with their classes.
            fake: ``(N, ...)``, the same; of each class there must be some in both, or in neither.

        Raises:
            ConfigError: If the batches do not fit each other, or a class is in one of them alone.
        """
        check_batch(real, fake)
        self.build(tuple(real.shape[1:]))
        (reals, real_labels), (fakes, fake_labels) = parted(real.detach()), parted(fake.detach())
        found, of_fakes = (frozenset(labels.tolist()) for labels in (real_labels, fake_labels))
        if found != of_fakes or not found <= frozenset(range(self.classes)):
            raise ConfigError(
                f"Real samples are of the classes {sorted(found)} and fakes of {sorted(of_fakes)}: the same must be in "
                f"both, all between 0 and {self.classes - 1}."
            )
        for number in found:
            if number not in self._of_class:
                self._of_class[number] = _sharing(self.inner)
            own_real, own_fake = reals[real_labels == number], fakes[fake_labels == number]
            self._of_class[number].fit_part(own_real, own_fake, of=(len(reals), len(fakes)))
        self._fitted = found

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples with classes ``(N, ...)``, differentiable once in ``x``.

        Of a class that the last ``fit`` did not see they are what is left of f_0.
        """
        samples, labels = parted(x)
        rows, scores = [], []
        for number in labels.unique().tolist():
            own = (labels == number).nonzero().flatten()
            rows.append(own)
            scores.append(self._scores_of(number, samples[own]))
        back = torch.argsort(torch.cat(rows))
        return torch.cat(scores)[back]

    def _scores_of(self, number: int, samples: Tensor) -> Tensor:
        if number in self._fitted:
            return self._of_class[number](samples)
        nothing = samples.flatten(1).sum(1) * 0
        return nothing if self.inner.initial is None else nothing + self.inner.left_of_initial(samples)

    def check(self) -> None:
        for number in self._fitted:
            self._of_class[number].check()

    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        return self.inner.statistics(real_scores, fake_scores)

    def gram(self, x: Tensor) -> Tensor:
        """The Gram matrix ``(N, N)`` of samples with classes under the product kernel."""
        samples, labels = parted(x)
        return self.inner.gram(samples) * (labels[:, None] == labels[None, :])

    def extra_repr(self) -> str:
        return f"classes={self.classes}"

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_of_class": {}, "_fitted": frozenset()}


def _sharing(discriminator: NTKDiscriminator) -> NTKDiscriminator:
    """A discriminator of the same settings, in a state of its own; what is compiled for one serves both."""
    twin = copy.copy(discriminator)
    twin.share_compiled(discriminator)
    return twin
