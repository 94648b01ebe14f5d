"""Every architecture and activation on the device in float32, against the CPU in float64."""

import functools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.options import Options
from benchmarks.rows import Row
from lightning_gantk.architectures import DCGAN, MLP, Architecture, ResNet
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "erf", "sin", "abs", "sigmoid_like", "rbf", "identity")
# Float32 resolves a squared distance of near samples to its root's rounding times the depth; a TF32 product leaves 1e-3
# of a score and nothing of a near pair's gradient, some ten times above these limits.
SCORES, GRADIENT = 1e-5, 1e-3
Case = tuple[str, Architecture, tuple[int, ...], str]  # a name, samples' shape, the precision of JAX's products


@dataclass(frozen=True)
class Found:
    """Largest error of a score over max sum |k w|, and the error of all gradients over their norm."""

    scores: float
    gradient: float

    @property
    def is_right(self) -> bool:
        return self.scores <= SCORES and self.gradient <= GRADIENT


def rows(options: Options) -> Iterator[Row]:
    """One row an architecture and activation, by JAX's default precision of products (TF32 on such a GPU); for ReLU
    another by the highest.
    """
    cases = [case for case in _cases(options) if case[0].startswith(options.cases)]
    if options.tiny:
        cases = cases[:1]
    for (name, _, _, precision), errors in zip(cases, _all_found(cases), strict=True):
        verdict = "right" if errors.is_right else "WRONG"
        work = name if precision == "default" else f"{name}, TF32 off"
        note = f"limits {SCORES:g}, {GRADIENT:g}"
        yield Row(work, "CPU, float64", f"scores {errors.scores:.1e}, gradient {errors.gradient:.1e}", verdict, note)


def _all_found(cases: list[Case]) -> Iterator[Found]:
    """The errors of all cases: tracing and compiling is most of it, so each core takes some."""
    if len(cases) == 1:
        yield _found(cases[0])
        return
    workers = min(len(cases), max(1, (os.cpu_count() or 1) - 1))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:  # JAX does not survive a fork
        yield from pool.map(_found, cases)


def _found(case: Case) -> Found:
    _, architecture, shape, precision = case
    with jax.default_matmul_precision(precision):
        return compare(architecture, shape)


def compare(architecture: Architecture, shape: tuple[int, ...]) -> Found:
    """Scores and gradients at fakes among which some are, or nearly are, reals."""
    points, weights, n = _problem(shape)
    found = [np.asarray(array, np.float64) for array in _sums(ArchitectureKernel(architecture), points, weights, n)]
    scores, gradient, size = _truth(architecture, shape)
    off = np.linalg.norm(found[1] - gradient) / np.linalg.norm(gradient)
    return Found(float(np.max(np.abs(found[0] - scores)) / size), float(off))


@functools.cache
def _truth(architecture: Architecture, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, float]:
    """Scores, gradients and max sum |k w| on the CPU in float64."""
    points, weights, n = _problem(shape)
    kernel = ArchitectureKernel(architecture, backend="jax")
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        wide = points.astype(np.float64), weights.astype(np.float64)
        scores, gradient = (np.asarray(array) for array in _sums(kernel, *wide, n))
        size = np.max(np.abs(np.asarray(jax.jit(kernel.__call__)(wide[0][:n], wide[0]))) @ np.abs(wide[1]))
    return scores, gradient, float(size)


def _sums(kernel: ArchitectureKernel, points: np.ndarray, weights: np.ndarray, n: int) -> tuple[jax.Array, jax.Array]:
    run = jax.jit(lambda p, w: expansion.scores_and_gradient_at_points(kernel, p, w, n))
    return run(jnp.asarray(points), jnp.asarray(weights))


def _problem(shape: tuple[int, ...], n: int = 24) -> tuple[np.ndarray, np.ndarray, int]:
    random = np.random.default_rng(0)
    fake, real = random.normal(size=(n, *shape)), random.normal(size=(n, *shape)) + 0.3
    real[:4] = fake[:4]
    real[4:8] = fake[4:8] + 1e-3 * random.normal(size=(4, *shape))
    points = np.concatenate([fake, real]).astype(np.float32)
    return points, np.repeat([1 / n, -1 / n], n).astype(np.float32), n


def _cases(options: Options) -> Iterator[Case]:
    shape = (8, 8, 1) if options.tiny else (16, 16, 3)
    for activation in ACTIVATIONS:
        for architecture in (
            MLP(2, activation=activation),
            ResNet(blocks=1, activation=activation),
            DCGAN(blocks=2, activation=activation),
        ):
            name = f"{type(architecture).__name__}, {activation}"
            yield name, architecture, shape, "default"
            if activation == "relu":
                yield name, architecture, shape, "highest"
    yield "MLP, relu, LayerNorm", MLP(3, layer_norm=True), shape, "default"
    yield "DCGAN, relu, LayerNorm", DCGAN(blocks=2, layer_norm=True), shape, "default"
    yield "MLP, relu, no bias", MLP(2, b_std=None), shape, "default"
    yield "MLP, relu, points of the plane", MLP(3), (2,), "default"
    yield "DCGAN, relu, 28 x 28", DCGAN(blocks=2), (28, 28, 1), "default"
