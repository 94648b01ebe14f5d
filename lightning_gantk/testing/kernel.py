"""The contract of a kernel: symmetric, positive, the same in both dtypes, with the gradient that training asks for."""

import functools
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pytest
import torch

pytest.importorskip("jax", reason="kernels need JAX")

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import Kernel
from lightning_gantk.losses import IPM
from lightning_gantk.testing.base import Contract
from lightning_gantk.testing.jax_side import gram, image_of, sums
from lightning_gantk.testing.slopes import error_of_slope, normal, roundings, step_of

# Test points and training points of all claims but those about sizes: JAX compiles for each size anew.
_SIZES = (5, 7)
_SYMMETRIC_STEP = 1e-5
_OF_A_KINK = 10  # second derivatives at a kink, in units of the scores and gradients: pi and layers' factors


class KernelClaims(Contract):
    """What holds of every kernel, whatever part ``make`` gives.

    Attributes:
        shapes: Samples to try it on, ``(d,)`` or ``(C, H, W)``.
        precision: Relative error (in the Euclidean norm over a batch) that float32 may leave in a Gram matrix and in
            scores. The default, some 170 roundings, is less than the noise of any batch.
        gradient_precision: The same of gradients, near and coincident pairs included.
        largest: Samples up to this size must give finite numbers in float32.
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((1,), (3,), (40,))
    precision: ClassVar[float] = 1e-5
    gradient_precision: ClassVar[float] = 1e-3
    largest: ClassVar[float] = 1e6

    @abstractmethod
    def kernel(self, shape: tuple[int, ...]) -> Kernel:
        """The kernel that the claims are about, for samples of a shape."""

    def one_kernel(self, shape: tuple[int, ...]) -> Kernel:
        """The same, one for all claims: what JAX has compiled for it serves them all."""
        return _one_kernel(type(self), shape)

    def test_gram_matrix_has_a_row_for_each_x_and_a_column_for_each_y(self, shape: tuple[int, ...]) -> None:
        kernel = self.one_kernel(shape)
        for dtype, n, m in (("float32", *_SIZES), ("float64", *_SIZES), ("float64", 1, _SIZES[1])):
            found = gram(kernel, self._samples(shape, n), self._samples(shape, m, 1), dtype)
            wrong = f"{n} and {m} samples {shape} give a Gram matrix of shape {found.shape}."
            self.claim(found.shape == (n, m), wrong, Kernel.__call__)
            self.claim(found.dtype == dtype, f"{dtype} samples give {found.dtype}.", Kernel.__call__)

    def test_gram_matrix_is_symmetric_and_positive(self, shape: tuple[int, ...]) -> None:
        samples = self._samples(shape, 12)
        matrix = gram(self.one_kernel(shape), samples, samples, "float64")
        # A matrix has eigenvalues off by its norm's rounding: N entries of the size of the largest.
        error = roundings(torch.float64, len(matrix) * np.abs(matrix).max())
        self.close(matrix, matrix.T, error, f"k(x, y) against k(y, x), shape {shape}", Kernel)
        if self.kernel(shape).conditional:  # only sums with weights of sum 0 are claimed to be positive
            matrix = matrix - matrix.mean(0) - matrix.mean(1)[:, None] + matrix.mean()
        least = np.linalg.eigvalsh((matrix + matrix.T) / 2).min()
        wrong = f"The Gram matrix of 12 samples {shape} has an eigenvalue {least:.3g}: no positive definite kernel."
        self.claim(least >= -error, wrong, Kernel)

    def test_float32_agrees_with_float64(self, shape: tuple[int, ...]) -> None:
        x, points, _ = self._problem(shape)
        found, wanted = (gram(self.one_kernel(shape), x, points, dtype) for dtype in ("float32", "float64"))
        self._near(found, wanted, self.precision, f"Gram matrix in float32, shape {shape}", Kernel.__call__)

    def test_sums_are_those_of_the_gram_matrix(self, shape: tuple[int, ...]) -> None:
        """Of sizes that fill no tile too, in float32."""
        kernel, error = self.one_kernel(shape), roundings(torch.float64, _SIZES[1])
        self._check_sums(kernel, shape, self._problem(shape), "float64", error, _SIZES[0])
        largest = self._problem(shape, 37, 41)
        for n, m in ((1, 7), (37, 41)):
            x, points, weights = largest
            problem = x[:n], points[:m], weights[:m]
            self._check_sums(kernel, shape, problem, "float32", self.precision)

    def _check_sums(
        self,
        kernel: Kernel,
        shape: tuple[int, ...],
        problem: tuple[np.ndarray, np.ndarray, np.ndarray],
        dtype: str,
        error: float,
        first: int | None = None,
    ) -> None:
        x, points, weights = problem
        wanted = gram(kernel, x, points, "float64") @ weights.astype(np.float64)
        found, gradient = sums(kernel, x, points, weights, dtype, first)
        what = f"scores of {len(x)} samples {shape} by {len(points)} points in {dtype}"
        self._near(found, wanted, error, what, Kernel.__call__)
        self.claim(gradient.shape == x.shape, f"{what}: a gradient of shape {gradient.shape}.", Kernel.__call__)

    @pytest.mark.parametrize("coincident", [False, True], ids=["apart", "coincident"])
    def test_gradient_is_the_slope_of_the_scores(self, shape: tuple[int, ...], coincident: bool) -> None:
        """In float64. Where samples meet, a kink counts with its symmetric derivative, 0."""
        kernel = self.one_kernel(shape)
        x, points, weights = self._problem(shape)
        if coincident:
            points[: len(x)] = x
        _, gradient = sums(kernel, x, points, weights, "float64", len(x))
        step = _SYMMETRIC_STEP if coincident else step_of(torch.float64)
        size = np.abs(gram(kernel, x, points, "float64")).max() * np.abs(weights).sum()
        size += np.linalg.norm(gradient.reshape(len(x), -1), axis=1).max()
        # Beside the errors of a central difference, a kink leaves a second derivative that jumps: one step of it.
        error = error_of_slope(torch.float64, size)
        if coincident:
            error += roundings(torch.float64, size) / step + _OF_A_KINK * step * size
        for seed in (3, 4):
            direction = normal(1, x.shape[1:], seed, "float64")
            direction /= np.linalg.norm(direction)
            ahead, behind = (gram(kernel, x + s * step * direction, points, "float64") @ weights for s in (1, -1))
            found = (gradient * direction).reshape(len(x), -1).sum(1)
            what = f"gradient of scores along a direction, shape {shape}"
            self.close(found, (ahead - behind) / (2 * step), error, what, Kernel.__call__)

    @pytest.mark.parametrize("distance", [0.0, 1e-6, 1e-4, 1e-2])
    def test_near_and_coincident_samples_keep_their_gradient(self, shape: tuple[int, ...], distance: float) -> None:
        """In training every fake meets itself, and soon others: float32 must not lose the difference."""
        kernel, (x, points, weights) = self.one_kernel(shape), self._problem(shape)
        points[: len(x)] = x + np.float32(distance) * self._samples(shape, len(x), 5)
        found = sums(kernel, x, points, weights, "float32", len(x))
        wanted = sums(kernel, x, points, weights, "float64", len(x))
        for name, one, other, error in zip(
            ("scores", "gradients"), found, wanted, (self.precision, self.gradient_precision), strict=True
        ):
            what = f"float32 {name} of samples {shape} that are {distance:g} apart"
            self.claim(np.isfinite(one).all(), f"{what} are not finite.", Kernel.__call__)
            self._near(one, other, error, what, Kernel.__call__)

    @pytest.mark.parametrize("size", ["zero", "tiny", "largest"])
    def test_extreme_samples_give_finite_numbers(self, shape: tuple[int, ...], size: str) -> None:
        scale = {"zero": 0.0, "tiny": 1e-6, "largest": self.largest}[size]
        kernel, (x, points, weights) = self.one_kernel(shape), self._problem(shape)
        x, points = x * np.float32(scale), points * np.float32(scale)
        found_both = sums(kernel, x, points, weights, "float32", len(x))
        for name, found in zip(("scores", "gradients"), found_both, strict=True):
            wrong = f"{name} of samples {shape} of size {scale:g} are not finite: {found.ravel()[:3]}..."
            self.claim(np.isfinite(found).all(), wrong, Kernel.__call__)

    def test_discriminator_in_torch_gives_the_same_scores_and_gradients(self, shape: tuple[int, ...]) -> None:
        kernel, (n, m) = self.one_kernel(shape), _SIZES
        real, fake, x = (torch.randn(count, *shape, dtype=torch.float64) for count in (m - n, n, n))
        discriminator = NTKDiscriminator(kernel, IPM(), time=1.0, dtype="float64")
        discriminator.fit(real, fake)
        scores = discriminator(x.requires_grad_())
        (gradient,) = torch.autograd.grad(scores.sum(), x)
        points = np.concatenate([_in_jax(fake), _in_jax(real)])
        weights = np.concatenate([np.full(n, 1 / n), np.full(m - n, -1 / (m - n))])  # the IPM's, at time 1
        values, slopes = sums(kernel, _in_jax(x.detach()), points, weights, "float64", n)
        size = np.abs(gram(kernel, _in_jax(x.detach()), points, "float64")).max()
        self.close(scores, values, roundings(torch.float64, size), f"scores in torch, shape {shape}", NTKDiscriminator)
        found, size = _in_jax(gradient), size + np.abs(slopes).max()
        self.close(
            found, slopes, roundings(torch.float64, size), f"gradients in torch, shape {shape}", NTKDiscriminator
        )

    def test_copies_are_the_same_kernel(self, shape: tuple[int, ...]) -> None:
        kernel, (x, points, _) = self.one_kernel(shape), self._problem(shape)
        for way, other in self.copies(kernel, Kernel):
            found, wanted = (gram(one, x, points, "float32") for one in (other, kernel))
            self.same(found, wanted, f"Gram matrix after {way}", Kernel)

    def _near(self, found: np.ndarray, wanted: np.ndarray, relative: float, what: str, of: object) -> None:
        """Fails where the norm of the difference is more than so large a part of that of what is wanted."""
        off, size = np.linalg.norm(found.astype(np.float64) - wanted), np.linalg.norm(wanted)
        wrong = f"{what}: off by {off / max(size, 1e-300):.2g} of its norm, {relative:.2g} is allowed."
        self.claim(found.shape == wanted.shape and off <= relative * size, wrong, of)

    def _samples(self, shape: tuple[int, ...], count: int, seed: int = 0) -> np.ndarray:
        return normal(count, image_of(shape), seed)

    def _problem(
        self, shape: tuple[int, ...], n: int = _SIZES[0], m: int = _SIZES[1]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Test points, training points, and positive weights, so that sums do not cancel."""
        weights = np.random.default_rng(2).uniform(0.5, 1, m).astype(np.float32)
        return self._samples(shape, n), self._samples(shape, m, 1), weights


class KernelContract(KernelClaims):
    """Proves a ``Kernel``: ``make`` gives one.

    Examples:
        >>> from lightning_gantk import RBF
        >>> from lightning_gantk.testing import KernelContract
        >>> class TestMine(KernelContract):  # pytest finds its tests
        ...     shapes = ((3,), (2, 8, 8))
        ...     def make(self):
        ...         return RBF(gamma=0.5)
    """

    @abstractmethod
    def make(self) -> Kernel:
        """The kernel."""

    def kernel(self, shape: tuple[int, ...]) -> Kernel:
        return self.make()


@functools.lru_cache(maxsize=16)
def _one_kernel(contract: type[KernelClaims], shape: tuple[int, ...]) -> Kernel:
    return contract().kernel(shape)


def _in_jax(batch: torch.Tensor) -> np.ndarray:
    return (batch.permute(0, 2, 3, 1) if batch.ndim == 4 else batch).numpy()
