"""The contract of a measure of quality: real samples kept, generated ones forgotten, the same in every order."""

import copy
from abc import abstractmethod
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.metrics import Quality
from lightning_gantk.testing.base import Contract
from lightning_gantk.testing.several import in_processes


class MetricContract(Contract):
    """Proves a ``Quality``: ``make`` gives one, attached to data where it needs them.

    Attributes:
        shapes: Samples to try it on, ``(d,)`` or ``(C, H, W)``; images lie in [-1, 1].
        grows: Names of the values that are larger for samples that are further from the real ones.
        counts: How many real and generated samples; equal ones where others would be drawn from at random.
        tolerance: Relative error between two ways to give the same samples: sums in float64 by default, of some
            thousand terms that cancel in part.

    Examples:
        >>> from lightning_gantk.metrics import EnergyDistance
        >>> from lightning_gantk.testing import MetricContract
        >>> class TestMine(MetricContract):  # pytest finds its tests
        ...     def make(self):
        ...         return EnergyDistance()
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((2,),)
    grows: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[int, int]] = (60, 40)
    tolerance: ClassVar[float] = 1e-9

    @abstractmethod
    def make(self) -> Quality:
        """The measure, with nothing given to it yet."""

    def test_real_samples_are_kept_and_generated_ones_forgotten(self, shape: tuple[int, ...]) -> None:
        metric, (real, fake) = self._built(shape), self._samples(shape)
        self.claim(not metric.has_real, "has_real is true before any sample.", Quality.has_real.fget)
        wanted = self._measured(shape, real, fake)
        metric.update(real, real=True)
        self.claim(metric.has_real, "has_real is false after real samples.", Quality.has_real.fget)
        metric.update(real.flip(0)[:9], real=False)
        metric.reset()
        self.claim(metric.has_real, "reset() forgets real samples.", Quality.reset)
        metric.update(fake, real=False)
        self._alike(metric.compute(), wanted, "values after reset()", Quality.reset)
        metric.reset(real=True)
        self.claim(not metric.has_real, "reset(real=True) keeps real samples.", Quality.reset)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        self._alike(metric.compute(), wanted, "values after reset(real=True)", Quality.reset)

    def test_values_are_finite_scalars_that_repeat(self, shape: tuple[int, ...]) -> None:
        metric = self._given(shape)
        with self.leaves_random_numbers("compute()", Quality.compute):
            first = metric.compute()
        self.claim(first, "compute() gives no values.", Quality.compute)
        for name, value in first.items():
            fine = isinstance(name, str) and isinstance(value, Tensor) and value.ndim == 0 and value.isfinite()
            self.claim(fine, f"compute()[{name!r}] is {value!r}.", Quality.compute)
        torch.manual_seed(9)
        for name, value in metric.compute().items():
            self.same(value, first[name], f"{name} computed again", Quality.compute)

    def test_batches_add_up_whatever_their_sizes(self, shape: tuple[int, ...]) -> None:
        metric, (real, fake) = self._built(shape), self._samples(shape)
        for kind, samples, size in ((False, fake, 11), (True, real, 7)):
            for batch in samples.split(size):
                metric.update(batch, real=kind)
        self._alike(metric.compute(), self._measured(shape, real, fake), "values of batches", Quality.update)

    def test_order_of_the_samples_does_not_matter(self, shape: tuple[int, ...]) -> None:
        real, fake = self._samples(shape)
        found = self._measured(shape, real.flip(0), fake.flip(0))
        self._alike(found, self._measured(shape, real, fake), "values in reverse order", Quality.compute)

    def test_owner_may_change_a_batch_that_was_given(self, shape: tuple[int, ...]) -> None:
        (real, fake), metric = self._samples(shape), self._built(shape)
        wanted = self._measured(shape, real, fake)
        for kind, samples in ((True, real), (False, fake)):
            given = samples.clone()
            metric.update(given, real=kind)
            self.same(given, samples, "a batch after update()", Quality.update)
            given.zero_()
        self._alike(metric.compute(), wanted, "values once the batches were overwritten", Quality.update)

    def test_inference_mode_may_come_and_go(self, shape: tuple[int, ...]) -> None:
        real, fake = self._samples(shape)
        metric = self._built(shape)
        with torch.inference_mode():  # trainer.validate()
            metric.update(real.clone(), real=True)
            metric.update(real.clone(), real=False)
            metric.compute()
            metric.reset()
        metric.update(fake, real=False)  # trainer.fit()
        self._alike(metric.compute(), self._measured(shape, real, fake), "values outside of it", Quality.update)

    def test_further_samples_give_larger_values(self, shape: tuple[int, ...]) -> None:
        if not self.grows:
            pytest.skip("no value is named in `grows`")
        real, _ = self._samples(shape)
        near, far = (self._measured(shape, real, (real + shift).clamp(-1, 1)) for shift in (0.1, 0.5))
        for name in self.grows:
            wrong = f"{name} is {float(near[name]):g} for near samples and {float(far[name]):g} for far ones."
            self.claim(near[name] < far[name], wrong, Quality)

    def test_nothing_is_saved_or_trained(self, shape: tuple[int, ...]) -> None:
        metric = self._given(shape)
        wrong = f"A checkpoint would hold {list(metric.state_dict())}."
        self.claim(not metric.state_dict() and not list(metric.parameters()), wrong, Quality)
        values = metric.compute().values()
        self.claim(not any(value.requires_grad for value in values), "A value carries a graph.", Quality.compute)

    def test_copies_go_their_own_way(self, shape: tuple[int, ...]) -> None:
        metric, (real, fake) = self._built(shape), self._samples(shape)
        metric.update(real, real=True)
        wanted = self._measured(shape, real, fake)
        for way, other in self.copies(metric, Quality):
            other.update(fake, real=False)
            self._alike(other.compute(), wanted, f"values after {way}", Quality)
        metric.update(fake, real=False)
        self._alike(metric.compute(), wanted, "values of the original", Quality)

    def test_two_processes_measure_what_one_does(self, shape: tuple[int, ...]) -> None:
        real, fake = self._samples(shape)
        pattern = self._built(shape)

        def measure(rank: int) -> dict[str, Tensor]:
            metric = copy.deepcopy(pattern)
            metric.update(real[rank::2], real=True)
            metric.update(fake[rank::2], real=False)
            return metric.compute()

        wanted = self._measured(shape, real, fake)
        for rank, found in enumerate(in_processes(measure)):
            self._alike(found, wanted, f"values in process {rank} of 2", Quality.compute)

    def test_bad_samples_are_refused_in_one_clear_line(self, shape: tuple[int, ...]) -> None:
        real, fake = self._samples(shape)
        for kind, samples, name in ((True, real, "real"), (False, fake, "generated")):
            broken = samples.clone()
            broken.view(-1)[0] = float("nan")
            self.refuses(
                lambda b=broken, k=kind: self._built(shape).update(b, real=k), name, Quality.update, TrainingDiverged
            )
        without = self._built(shape)
        self.refuses(without.compute, "real|generated", Quality.compute, RuntimeError)

    def _built(self, shape: tuple[int, ...]) -> Quality:
        metric = self.make()
        metric.build(shape)
        return metric

    def _given(self, shape: tuple[int, ...]) -> Quality:
        metric, (real, fake) = self._built(shape), self._samples(shape)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return metric

    def _measured(self, shape: tuple[int, ...], real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        metric = self._built(shape)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return metric.compute()

    def _alike(self, found: dict[str, Tensor], wanted: dict[str, Tensor], what: str, of: object) -> None:
        self.claim(found.keys() == wanted.keys(), f"{what}: {list(found)} in the place of {list(wanted)}.", of)
        for name, value in wanted.items():
            # float32: sums of some hundred numbers, in another order
            rounding = 0.0 if value.dtype == torch.float64 else 64 * torch.finfo(value.dtype).eps
            error = max(self.tolerance, rounding) * (1 + float(value.abs()))
            self.close(found[name], value, error, f"{what}: {name}", of)

    def _samples(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Real and generated ones, in [-1, 1]."""
        stream = torch.Generator().manual_seed(0)
        real, fake = (torch.randn(count, *shape, generator=stream) / 3 for count in self.counts)
        return real.clamp(-1, 1), (fake + 0.1).clamp(-1, 1)
