"""The contract of a loss: three pointwise functions, the same in torch and JAX, that train both regimes."""

import itertools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.testing.base import Contract, numbers
from lightning_gantk.testing.slopes import roundings, step_of

# Between, at and beyond the places where losses bend.
_SCORES = (-30.0, -3.1, -1.5, -1.0, -0.3, 0.0, 0.7, 1.0, 2.2, 30.0)
_FUNCTIONS = ("a", "b", "c")


class LossContract(Contract):
    """Proves an ``AdversarialLoss``: ``make`` gives one.

    Attributes:
        largest: Scores up to this size must give finite values and slopes in float32.

    Examples:
        >>> from lightning_gantk import LSGAN
        >>> from lightning_gantk.testing import LossContract
        >>> class TestMine(LossContract):  # pytest finds its tests
        ...     def make(self):
        ...         return LSGAN(real=0.9, fake=-0.9)
    """

    largest: ClassVar[float] = 1e4

    @abstractmethod
    def make(self) -> AdversarialLoss:
        """The loss."""

    def test_it_says_what_it_is(self) -> None:
        loss = self.make()
        self.claim(isinstance(loss, AdversarialLoss), f"make() gives {loss!r}, no AdversarialLoss.", AdversarialLoss)
        known = ("constant", "affine", "piecewise", "smooth", "any")
        wrong = f"slopes is {loss.slopes!r}, allowed are {', '.join(map(repr, known))}."
        self.claim(loss.slopes in known, wrong, AdversarialLoss)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_functions_are_pointwise_and_keep_shape_and_dtype(self, dtype: torch.dtype) -> None:
        scores = self._scores(dtype)
        for name, function, of in self._functions():
            whole = function(scores)
            self.claim(whole.dtype == dtype, f"{name} of {dtype} scores is {whole.dtype}.", of)
            # Vector units may round otherwise than one number alone: the last digits are free.
            error = roundings(dtype, float(whole.abs().max()) + 1)
            alone = torch.stack([function(score) for score in scores])
            self.close(whole, alone, error, f"{name} of scores together and one by one", of)
            square = function(scores.view(-1, 2))
            self.close(square, whole.view(-1, 2), error, f"{name} of scores of shape (N, 2)", of)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_torch_and_jax_agree(self, dtype: str) -> None:
        jax = pytest.importorskip("jax", reason="the JAX side needs JAX")
        from lightning_gantk.testing.jax_side import arithmetic

        wide = getattr(torch, dtype)
        scores = self._scores(wide)
        with arithmetic(dtype):
            given = jax.numpy.asarray(scores.numpy())
            for name, function, of in self._functions():
                value, slope = function(given), jax.vmap(jax.grad(function))(given)
                self.claim(value.dtype == dtype, f"{name} of {dtype} scores in JAX is {value.dtype}.", of)
                expected, expected_slope = _with_slope(function, scores)
                # Each library rounds exp, log and sums in its own way, relative to the terms: 1, the value, s times
                # the slope.
                sizes = 1 + np.abs(numbers(expected)) + np.abs(numbers(scores * expected_slope))
                error = roundings(wide, 1.0)
                self.close(value / sizes, numbers(expected) / sizes, error, f"{name} in JAX against torch", of)
                # In the slope one rounding of a score counts as the second derivative, which is of its own size.
                sizes = 1 + np.abs(numbers(expected_slope))
                found = numbers(slope) / sizes
                self.close(found, numbers(expected_slope) / sizes, error, f"{name}' in JAX against torch", of)

    def test_float32_agrees_with_float64(self) -> None:
        wide = self._scores(torch.float64)
        for name, function, of in self._functions():
            expected, slope = _with_slope(function, wide)
            sizes = 1 + expected.abs() + (wide * slope).abs()  # of the terms, and of a rounding of the score
            found = function(wide.float()).double()
            error = roundings(torch.float32, 1.0)
            self.close(found / sizes, expected / sizes, error, f"{name} in float32 against float64", of)

    def test_slopes_are_those_of_the_functions(self) -> None:
        """At a bend, where the slopes on both sides differ, any between them is one."""
        scores, step = self._scores(torch.float64), step_of(torch.float64)
        for name, function, of in self._functions():
            value, slope = _with_slope(function, scores)
            right = (function(scores + step) - value) / step
            left = (value - function(scores - step)) / step
            # The difference of two rounded values over the step; and half the step times the curvature, which the two
            # sides show.
            allowed = roundings(torch.float64, 1.0) * (1 + value.abs()) / step + (right - left).abs()
            low, high = torch.minimum(left, right) - allowed, torch.maximum(left, right) + allowed
            for s, found, least, most in zip(scores, slope, low, high, strict=True):
                wrong = (
                    f"{name}'({s:g}) is {found:.6g} by autograd, and between {least:.6g} and {most:.6g} by differences."
                )
                self.claim(least <= found <= most, wrong, of)

    @pytest.mark.parametrize("side", ["torch", "jax"])
    def test_values_and_slopes_stay_finite(self, side: str) -> None:
        scores = torch.tensor([-self.largest, -self.largest / 10, self.largest / 10, self.largest])
        jax = pytest.importorskip("jax", reason="the JAX side needs JAX") if side == "jax" else None
        for name, function, of in self._functions():
            if jax is None:
                both = _with_slope(function, scores)
            else:
                given = jax.numpy.asarray(scores.numpy())
                both = function(given), jax.vmap(jax.grad(function))(given)
            for what, found in zip((name, f"{name}'"), both, strict=True):
                wrong = f"{what} of {scores.tolist()} is {found.tolist()} in {side}: `largest` says how far scores go."
                self.claim(np.isfinite(numbers(found)).all(), wrong, of)

    def test_declared_slopes_are_what_they_are(self) -> None:
        """A closed form is taken where they are declared constant or affine: a wrong word is a wrong discriminator."""
        loss = self.make()
        scores = self._scores(torch.float64)
        for name, sign in (("a", 1), ("b", -1)):
            _, slope = _with_slope(getattr(loss, name), scores)
            if loss.slopes == "constant":
                wrong = f"slopes='constant', but {name}' takes the values {slope.tolist()}."
                self.claim((slope == slope[0]).all(), wrong, AdversarialLoss)
            if loss.slopes == "affine":
                curvature = sign * (slope[1:] - slope[:-1]) / (scores[1:] - scores[:-1])
                size = float((slope.abs().max() + 1) / (scores[1:] - scores[:-1]).min())
                what = f"slopes='affine', but the slope of {name}' changes"
                wanted = curvature[:1].expand_as(curvature)
                self.close(curvature, wanted, roundings(torch.float64, size), what, AdversarialLoss)
                wrong = f"slopes='affine' needs a and -b strictly concave, but {name} is not."
                self.claim((curvature < 0).all(), wrong, AdversarialLoss)
            if loss.slopes == "piecewise":
                self._is_straight_between_kinks(loss, name)
            if loss.slopes == "smooth":
                # 200 points for each unit of the score: a slope that jumps would stand out two hundred times
                dense = torch.linspace(-5, 5, 2001, dtype=torch.float64)
                slope = sign * _with_slope(getattr(loss, name), dense)[1]
                change, most = slope.diff(), 0.05 * (1 + slope[1:].abs())
                wrong = f"slopes='smooth', but {name}' jumps, or {name} is not " + (
                    "concave." if sign > 0 else "convex."
                )
                self.claim((change <= 0).all() and (change >= -most).all(), wrong, AdversarialLoss)

    def _is_straight_between_kinks(self, loss: AdversarialLoss, name: str) -> None:
        edges = [-40.0, *sorted(loss.kinks), 40.0]
        for low, high in itertools.pairwise(edges):
            inside = torch.linspace(low, high, 9, dtype=torch.float64)[1:-1]
            _, slope = _with_slope(getattr(loss, name), inside)
            wrong = f"slopes='piecewise' with kinks={loss.kinks}, but {name}' changes between {low:g} and {high:g}."
            self.claim((slope == slope[0]).all(), wrong, AdversarialLoss)

    def test_the_objective_tells_fakes_from_reals(self) -> None:
        """The slopes of a and b at 0, where training starts, pull the scores of fakes and reals apart."""
        loss = self.make()
        _, of_fakes = _with_slope(loss.a, torch.zeros(1))
        _, of_reals = _with_slope(loss.b, torch.zeros(1))
        wrong = f"a'(0) = {float(of_fakes):g} and b'(0) = {float(of_reals):g} move fakes and reals the same way."
        self.claim(of_fakes * of_reals >= 0, wrong, AdversarialLoss.discriminator)
        self.claim(of_fakes.abs() + of_reals.abs() > 0, "a'(0) = b'(0) = 0: nothing is learnt.", AdversarialLoss)

    def test_batches_of_different_sizes_are_averaged(self) -> None:
        loss, real, fake = self.make(), torch.randn(5), torch.randn(3)
        error = roundings(torch.float32, float((loss.a(fake).abs().max() + loss.b(real).abs().max()).detach()) + 1)
        wanted = loss.a(fake).mean() - loss.b(real).mean()
        self.close(loss.discriminator(real, fake), wanted, error, "discriminator()", AdversarialLoss.discriminator)
        self.close(loss.generator(fake), loss.c(fake).mean(), error, "generator()", AdversarialLoss.generator)

    def test_copies_are_the_same_loss(self) -> None:
        loss, scores = self.make(), self._scores(torch.float32)
        for way, other in self.copies(loss, AdversarialLoss):
            self.claim(repr(other) == repr(loss), f"After {way}, {loss!r} is {other!r}.", AdversarialLoss)
            for name in _FUNCTIONS:
                found, wanted = (getattr(one, name)(scores) for one in (other, loss))
                self.same(found, wanted, f"{name} after {way}", AdversarialLoss)

    @pytest.mark.parametrize("regime", ["finite", "infinite"])
    def test_a_short_training_raises_the_objective(self, regime: str) -> None:
        loss = self.make()
        if regime == "infinite":
            pytest.importorskip("jax", reason="infinite width needs JAX")
            discriminator = NTKDiscriminator(MLP(1), loss, time=0.01)
        else:
            discriminator = FiniteDiscriminator(MLP(1), loss, width=64, time=0.01)
        real, fake = torch.randn(8, 2) + 1, torch.randn(6, 2)
        discriminator.fit(real, fake)
        with torch.no_grad():
            after = loss.discriminator(discriminator(real), discriminator(fake))
        before = loss.discriminator(torch.zeros(1), torch.zeros(1))
        wrong = (
            f"{regime}: training for t = 0.01 takes the objective from {float(before):g} at f = 0 to {float(after):g}."
        )
        self.claim(after > before, wrong, AdversarialLoss.discriminator)

    def _scores(self, dtype: torch.dtype) -> Tensor:
        return torch.tensor([s for s in _SCORES if abs(s) <= self.largest], dtype=dtype)

    def _functions(self) -> list[tuple[str, Callable[[Any], Any], object]]:
        loss = self.make()
        return [(name, getattr(loss, name), getattr(AdversarialLoss, name)) for name in _FUNCTIONS]


def _with_slope(function: Callable[[Tensor], Tensor], scores: Tensor) -> tuple[Tensor, Tensor]:
    """Values and derivatives by torch; a constant function has none of its own."""
    scores = scores.clone().requires_grad_()
    values = function(scores)
    if not values.requires_grad:
        return values, torch.zeros_like(scores)
    return values.detach(), torch.autograd.grad(values.sum(), scores)[0]
