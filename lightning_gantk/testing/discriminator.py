"""The contract of a discriminator: fitted to (real, fake), then scores that torch can differentiate."""

import copy
from abc import abstractmethod
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from lightning_gantk.discriminators import Discriminator
from lightning_gantk.testing.base import Contract
from lightning_gantk.testing.several import in_processes
from lightning_gantk.testing.slopes import error_of_slope, roundings, slope, step_of, unit

_REAL, _FAKE = 7, 5  # ragged


class DiscriminatorContract(Contract):
    """Proves a ``Discriminator``: ``make`` gives one.

    Attributes:
        shapes: Samples to try it on, ``(d,)`` or ``(C, H, W)``.
        arithmetic: What scores are worked out in once the module is cast to float64; float32 for those that keep a
            dtype of their own.
        improves: Whether a ``fit`` raises the loss's objective above its value at scores 0. Not where the discriminator
            follows something else.
        of_fakes: Whether the generator's loss is made of the scores of the fakes themselves, and not of noisy places.
        tolerance: Relative error by which two processes may differ from one: roundings of some hundred operations, or
            what a solver stops at.

    Examples:
        >>> from lightning_gantk import IPM, RBF, NTKDiscriminator
        >>> from lightning_gantk.testing import DiscriminatorContract
        >>> class TestMine(DiscriminatorContract):  # pytest finds its tests
        ...     def make(self):
        ...         return NTKDiscriminator(RBF(), IPM())
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((3,),)
    arithmetic: ClassVar[torch.dtype] = torch.float64
    improves: ClassVar[bool] = True
    of_fakes: ClassVar[bool] = True
    tolerance: ClassVar[float] = 2e-5

    @abstractmethod
    def make(self) -> Discriminator:
        """The discriminator, not yet built."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_samples_have_one_score_each_in_their_dtype(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        discriminator = self._fitted(shape, dtype)
        for count in (2 * _REAL + 1, _FAKE):
            scores = discriminator(torch.randn(count, *shape, dtype=dtype))
            wrong = f"{count} samples {shape} of {dtype} give {scores.dtype} scores {tuple(scores.shape)}."
            self.claim(scores.shape == (count,) and scores.dtype == dtype, wrong, Discriminator.forward)
            self.claim(scores.isfinite().all(), f"Scores {scores} of normal samples.", Discriminator.forward)

    def test_score_of_a_sample_is_its_own(self, shape: tuple[int, ...]) -> None:
        """Each sample's, whatever stands beside it: the theory's f is a function, and c(f(x)) of one sample."""
        discriminator = self._fitted(shape)
        x = torch.randn(6, *shape)
        together = discriminator(x)
        alone = torch.cat([discriminator(sample) for sample in x.split(1)])
        error = roundings(torch.float32, self._size(discriminator, x))
        self.close(together, alone, error, "scores of samples together and one by one", Discriminator.forward)

    def test_scoring_changes_nothing(self, shape: tuple[int, ...]) -> None:
        discriminator, x = self._fitted(shape), torch.randn(6, *shape)
        with self.leaves_random_numbers("Scoring", Discriminator.forward):
            first = discriminator(x)
        with torch.no_grad():
            self.same(
                discriminator(x), first, "scores of the same samples again, without a graph", Discriminator.forward
            )

    def test_gradient_in_the_samples_is_the_slope_of_the_scores(self, shape: tuple[int, ...]) -> None:
        discriminator = self._fitted(shape, torch.float64)
        x = torch.randn(4, *shape, dtype=torch.float64, requires_grad=True)
        scores = discriminator(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x)
        direction, step = unit(x.detach()), step_of(self.arithmetic)
        wanted = slope(lambda at: discriminator(at).sum(), x.detach(), direction, step)
        size = self._size(discriminator, x.detach()) + float(gradient.norm())
        error = error_of_slope(self.arithmetic, size)
        what = "gradient of the scores along a direction"
        self.close((gradient * direction).sum(), wanted, error, what, Discriminator.forward)

    def test_gradient_reaches_the_samples_and_nothing_else(self, shape: tuple[int, ...]) -> None:
        discriminator = self._fitted(shape)
        x = torch.randn(4, *shape, requires_grad=True)
        discriminator(x).sum().backward()
        self.claim(x.grad is not None and x.grad.isfinite().all(), f"Gradient {x.grad}.", Discriminator.forward)
        touched = [name for name, p in discriminator.named_parameters() if p.grad is not None]
        wrong = f"The backward pass of scores leaves gradients on {', '.join(touched)}."
        self.claim(not touched, wrong, Discriminator.forward)

    def test_fit_takes_samples_without_a_graph_and_leaves_them_alone(self, shape: tuple[int, ...]) -> None:
        discriminator, (real, fake) = self.make(), _batch(shape)
        before = real.clone(), fake.clone()
        with torch.no_grad():
            discriminator.fit(real, fake)
        for found, wanted, name in zip((real, fake), before, ("real", "fake"), strict=True):
            self.same(found, wanted, f"{name} samples after fit", Discriminator.fit)
        x = torch.randn(3, *shape)
        scores = discriminator.eval()(x).detach().clone()
        real.fill_(9)
        fake.fill_(-9)
        self.same(discriminator(x), scores, "scores once the owner has changed the fitted batch", Discriminator.fit)

    def test_fit_raises_the_objective(self, shape: tuple[int, ...]) -> None:
        if not self.improves:
            pytest.skip("the discriminator follows something else than its loss")
        discriminator, loss = self._fitted(shape), self.make().loss
        with torch.no_grad():
            after = loss.discriminator(*(discriminator(batch) for batch in _batch(shape)))
        before = loss.discriminator(torch.zeros(1), torch.zeros(1))
        wrong = (
            f"L is {float(after):g} after fit, and {float(before):g} where all scores are 0: say `improves = False` of "
            "one that one fit does not take so far."
        )
        self.claim(after > before, wrong, Discriminator.fit)

    def test_generator_loss_is_that_of_the_scores_after_fit(self, shape: tuple[int, ...]) -> None:
        """In value and in its gradient, which reaches the fakes as through the scores alone."""
        discriminator, (real, fake) = self.make(), _batch(shape)
        discriminator.build(shape)
        if discriminator.single_level:
            pytest.skip("the discriminator's training is part of the gradient")
        other, found = copy.deepcopy(discriminator), []
        for one in (discriminator, other):
            x = fake.clone().requires_grad_()
            torch.manual_seed(4)
            if one is discriminator:
                loss = one.generator_loss(real, x)
            else:
                one.fit(real, fake)
                loss = one.loss.generator(one(x) if self.of_fakes else one.generator_scores(x))
            found.append((loss.detach(), torch.autograd.grad(loss, x)[0]))
        for name, ours, wanted in zip(("generator_loss", "its gradient"), *found, strict=True):
            error = self.tolerance * (1 + float(wanted.abs().max()))
            self.close(ours, wanted, error, f"{name} against fit and scores", Discriminator.generator_loss)

    def test_random_numbers_fix_what_is_learnt(self, shape: tuple[int, ...]) -> None:
        x, scores = torch.randn(4, *shape), []
        for _ in range(2):
            torch.manual_seed(1)
            scores.append(self._fitted(shape)(x))
        first, again = scores
        self.same(again, first, "scores of two discriminators from one seed", Discriminator.fit)

    def test_build_again_does_nothing(self, shape: tuple[int, ...]) -> None:
        discriminator = self.make()
        discriminator.build(shape)
        before = _tensors(discriminator)
        with self.leaves_random_numbers("A second build with the same shape", Discriminator.build):
            discriminator.build(shape)
        after = _tensors(discriminator)
        self.claim(before.keys() == after.keys(), "A second build changes what the state holds.", Discriminator.build)
        for name, value in before.items():
            self.same(after[name], value, f"{name} after a second build", Discriminator.build)

    def test_state_dict_carries_what_training_needs_to_go_on(self, shape: tuple[int, ...]) -> None:
        first, second = self.make(), self.make()
        for discriminator in (first, second):
            discriminator.build(shape)
        first.fit(*_batch(shape))
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        x = torch.randn(4, *shape)
        scores = [self._after_another_fit(one, x) for one in (first, second)]
        what = "scores after one more fit of another that took its state"
        self.same(scores[1], scores[0], what, Discriminator)

    def test_copies_go_on_alike(self, shape: tuple[int, ...]) -> None:
        discriminator = self._fitted(shape)
        x = torch.randn(4, *shape)
        scores = discriminator(x).detach().clone()
        # A copy may have been compiled for batches of other sizes, and sum in another order.
        error = self.tolerance * float(scores.abs().max())
        for way, other in self.copies(discriminator, Discriminator):
            self.close(other(x), scores, error, f"scores after {way}", Discriminator)
            original, after = copy.deepcopy(discriminator), []
            for one in (original, other):
                after.append(self._after_another_fit(one, x))
            error = self.tolerance * float(after[0].abs().max())
            self.close(after[1], after[0], error, f"scores after {way} and one more fit", Discriminator)
            self.close(
                discriminator(x), scores, error, f"scores of the original, once {way} was trained", Discriminator
            )

    def test_two_processes_learn_what_one_does(self, shape: tuple[int, ...]) -> None:
        """Each has all samples and comes out with the same discriminator: see ``lightning_gantk.processes``."""
        x, batches = torch.randn(4, *shape), [_batch(shape, seed, 8, 6) for seed in (1, 2)]
        pattern = self.make()
        pattern.build(shape)

        def train(rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
            discriminator = copy.deepcopy(pattern)
            for real, fake in batches:
                discriminator.fit(real, fake)
            return discriminator.eval()(x).detach().clone(), _tensors(discriminator)

        torch.manual_seed(2)
        first, second = in_processes(train)
        torch.manual_seed(2)
        alone, _ = train()
        self.same(first[0], second[0], "scores in two processes", Discriminator.fit)
        for name, value in first[1].items():
            self.same(second[1][name], value, f"{name} in two processes", Discriminator.fit)
        error = self.tolerance * float(alone.abs().max())
        self.close(first[0], alone, error, "scores of two processes against one", Discriminator.fit)

    def test_gram_matrix_is_symmetric_and_positive(self, shape: tuple[int, ...]) -> None:
        discriminator, x = self._fitted(shape), torch.randn(8, *shape)
        matrix = discriminator.gram(x)
        if matrix is None:
            pytest.skip("the discriminator trains by no kernel")
        error = roundings(matrix.dtype, 8 * float(matrix.abs().max()))
        self.close(matrix, matrix.T, error, "the Gram matrix against its transpose", Discriminator.gram)
        least = float(torch.linalg.eigvalsh(matrix.double()).min())
        self.claim(least > -error, f"The Gram matrix has an eigenvalue {least:.3g}.", Discriminator.gram)

    def test_statistics_are_scalars_without_a_graph(self, shape: tuple[int, ...]) -> None:
        discriminator, batch = self._fitted(shape), _batch(shape)
        scores = [discriminator(samples.clone().requires_grad_()) for samples in batch]
        found = discriminator.statistics(*scores)
        for name, value in found.items():
            fine = isinstance(value, Tensor) and value.ndim == 0 and not value.requires_grad and value.isfinite()
            self.claim(fine, f"statistics()[{name!r}] is {value!r}.", Discriminator.statistics)
        missing = {"objective", "score_real", "score_fake"} - found.keys()
        self.claim(not missing, f"statistics() has no {', '.join(missing)}.", Discriminator.statistics)

    def test_bad_batches_are_refused_in_one_clear_line(self, shape: tuple[int, ...]) -> None:
        real, fake = _batch(shape)
        self.refuses(lambda: self.make().fit(real[:0], fake), "at least one sample", Discriminator.fit)
        self.refuses(lambda: self.make().fit(real, fake[:0]), "at least one sample", Discriminator.fit)
        other = torch.cat([fake, fake], dim=-1)
        self.refuses(lambda: self.make().fit(real, other), "one shape", Discriminator.fit)

    def _fitted(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Discriminator:
        discriminator = self.make()
        discriminator.build(shape)
        discriminator.to(dtype).fit(*(batch.to(dtype) for batch in _batch(shape)))
        return discriminator.eval()  # layers that behave otherwise in training may do so there

    def _size(self, discriminator: Discriminator, x: Tensor) -> float:
        """Of the terms that a score is the sum of, as far as scores show it."""
        with torch.no_grad():
            return 1 + float(discriminator(x).abs().max()) * len(x)

    def _after_another_fit(self, discriminator: Discriminator, x: Tensor) -> Tensor:
        torch.manual_seed(3)
        discriminator.train().fit(*_batch(tuple(x.shape[1:]), 3))
        return discriminator.eval()(x).detach().clone()


def _batch(shape: tuple[int, ...], seed: int = 0, real: int = _REAL, fake: int = _FAKE) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(real, *shape, generator=stream) + 1, torch.randn(fake, *shape, generator=stream) - 1


def _tensors(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, copied."""
    return {name: value.clone() for name, value in module.state_dict().items() if isinstance(value, Tensor)}
