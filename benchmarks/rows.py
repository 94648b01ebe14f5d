"""The rows of the table: each a piece of work, ours and a baseline in the same run."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import baselines, problems
from benchmarks.first_step import starts
from benchmarks.memory import peak
from benchmarks.paper import REGIMES
from benchmarks.steps import share
from benchmarks.timing import Comparison, compare, median
from lightning_gantk import bridge
from lightning_gantk.architectures import DCGAN, MLP, Architecture
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, default_rtol
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Vanilla

RELU_MLP, RELU_DCGAN = MLP(hidden_layers=3, b_std=1.0), DCGAN(blocks=3)


@dataclass(frozen=True)
class Row:
    """One line: the work, the baseline, how many times faster ours is, and what else there is to say."""

    work: str
    baseline: str
    ours: str
    ratio: str
    note: str = ""


def timed(work: str, baseline: str, found: Comparison, note: str = "") -> Row:
    """A row of two timings."""
    return Row(work, baseline, f"{found.ours * 1e3:.1f} ms", f"{found.ratio:.2f}x", note)


def against_neural_tangents(architecture: Architecture, given: problems.Batch, repeats: int) -> Comparison:
    """IPM scores and gradient at the fakes."""
    whole = baselines.ipm(architecture)
    return compare(
        problems.ipm(architecture, given),
        lambda: jax.block_until_ready(whole(given.x, given.points, given.weights)),
        repeats=repeats,
    )


def ipm_mlp(n: int, repeats: int) -> Iterator[Row]:
    """IPM scores and gradient of the MLP, against neural-tangents and against the matrix products."""
    given = problems.batch(n)
    products_alone = jax.jit(baselines.matrix_products)
    floor = compare(
        problems.ipm(RELU_MLP, given),
        lambda: products_alone(given.x, given.points).block_until_ready(),
        repeats=repeats,
    )
    work = f"IPM scores + gradient, MLP 3 ReLU, 32x32x1, n=m={n}"
    if n <= 2048:
        yield timed(work, "neural-tangents", against_neural_tangents(RELU_MLP, given, max(3, repeats // 2)))
    yield timed(work, "two matrix products", floor, f"{1 / floor.ratio:.2f} times the products")


def ipm_points(n: int, repeats: int) -> Iterator[Row]:
    """IPM scores and gradient of the MLP at points of the plane, against neural-tangents."""
    found = against_neural_tangents(RELU_MLP, problems.batch(n, size=1, channels=2), repeats)
    yield timed(f"IPM scores + gradient, MLP 3 ReLU, 2-D, n=m={n}", "neural-tangents", found)


def ipm_dcgan(n: int, size: int, channels: int, repeats: int, *, baseline: bool = True) -> Iterator[Row]:
    """IPM scores and gradient of the DCGAN."""
    given = problems.batch(n, size, channels)
    work = f"IPM scores + gradient, DCGAN 3 blocks, {size}x{size}x{channels}, n=m={n}"
    pairs = 2 * n * n
    if not baseline:
        seconds = median(problems.ipm(RELU_DCGAN, given), repeats=repeats)
        yield Row(work, "-", f"{seconds * 1e3:.1f} ms", "", f"{seconds / pairs * 1e6:.2f} us a pair")
        return
    found = against_neural_tangents(RELU_DCGAN, given, max(2, repeats // 3))
    note = f"{found.ours / pairs * 1e6:.2f} us a pair, {found.baseline / pairs * 1e6:.1f} before"
    yield timed(work, "neural-tangents", found, note)


def native(n: int, repeats: int) -> Iterator[Row]:
    """Native code against our own recursions in JAX: what a machine without a compiler pays."""
    for name, architecture in (("MLP 3 ReLU", RELU_MLP), ("DCGAN 3 blocks", RELU_DCGAN)):
        given = problems.batch(n)
        in_jax = problems.ipm(architecture, given, backend="jax")
        found = compare(problems.ipm(architecture, given, backend="native"), in_jax, repeats=repeats)
        yield timed(f"IPM scores + gradient, {name}, 32x32x1, n=m={n}, native", "our own recursion in JAX", found)


def lsgan_weights(n: int, repeats: int) -> Iterator[Row]:
    """LSGAN's dual weights from a given Gram matrix; errors against a float64 eigendecomposition of it."""
    given = problems.batch(n)
    matrix = jax.jit(lambda p: expansion.gram(ArchitectureKernel(RELU_MLP), p))(given.points)
    mass = jnp.full(2 * n, 1 / n)
    exact = np.linalg.eigh(np.asarray(matrix, np.float64))
    for duration in (1.0, 1000.0):
        compiled = CompiledDiscriminator(
            ArchitectureKernel(RELU_MLP), GradientFlow(LSGAN(), duration, default_rtol("float32")), "float32"
        )
        by_eigh = jax.jit(lambda m, t=duration: baselines.eigh_weights(m, t))

        def ours(compiled: CompiledDiscriminator = compiled) -> jax.Array:
            return compiled.kept_weights(matrix, mass, n).weights.block_until_ready()

        found = compare(ours, lambda f=by_eigh: f(matrix).block_until_ready(), repeats=repeats)
        truth = _exact_weights(*exact, duration)
        errors = [np.linalg.norm(w - truth) / np.linalg.norm(truth) for w in (ours(), by_eigh(matrix))]
        note = f"relative error {errors[0]:.1e}, eigh {errors[1]:.1e}"
        yield timed(f"LSGAN dual weights from a Gram matrix, n=m={n}, t={duration:g}", "eigh", found, note)


def lsgan_step(n: int, repeats: int) -> Iterator[Row]:
    """LSGAN fit, scores and gradient."""
    given = problems.batch(n)
    ours = problems.infinite(RELU_MLP, LSGAN(), given)
    whole = baselines.lsgan_step(RELU_MLP, 1.0)
    found = compare(ours, lambda: jax.block_until_ready(whole(given.x, given.points)), repeats=max(3, repeats // 3))
    yield timed(f"LSGAN fit + scores + gradient, MLP, n=m={n}, t=1", "neural-tangents gradient_descent_mse", found)


def vanilla_fit(n: int, repeats: int) -> Iterator[Row]:
    """Vanilla fit; errors of the fitted function against a tight solve in float64."""
    given = problems.batch(n)
    real, fake = problems.tensors(given)
    discriminator = NTKDiscriminator(RELU_MLP, Vanilla(), time=1.0)
    by_nt = baselines.ode_fit(Vanilla(), RELU_MLP, 1.0)
    found = compare(
        lambda: discriminator.fit(real, fake),
        lambda: by_nt(given.points).block_until_ready(),
        repeats=max(3, repeats // 3),
    )
    truth, matrix = _vanilla_outputs(given, "float64", 1e-10)
    outputs = _vanilla_outputs(given, "float32", default_rtol("float32"), matrix)[0], np.asarray(by_nt(given.points))
    errors = [np.linalg.norm(o - truth) / np.linalg.norm(truth) for o in outputs]
    note = f"relative error on the batch {errors[0]:.1e}, neural-tangents {errors[1]:.1e}"
    yield timed(f"vanilla fit, MLP, n=m={n}, t=1", "neural-tangents gradient_descent", found, note)


def finite(architecture: Architecture, losses: Sequence[AdversarialLoss], n: int, repeats: int) -> Iterator[Row]:
    """The infinite discriminator's step against the finite one's, one optimizer step each."""
    given = problems.batch(n)
    for loss in losses:
        infinite = problems.infinite(architecture, loss, given)
        for width in (128, 512):
            found = compare(infinite, problems.finite(architecture, loss, width, given), repeats=repeats)
            label = f"{type(loss).__name__} step (fit, scores, gradient), {type(architecture).__name__}, n=m={n}"
            yield timed(label, f"finite network of width {width}", found)


def bridge_share(n: int, repeats: int) -> Iterator[Row]:
    """The share of a training step spent in crossings between torch and JAX, and the copies that they made."""
    given = problems.batch(n)
    real, _ = problems.tensors(given)
    generator = DCGANGenerator(out_shape=real.shape[1:]).to(real.device)
    optimizer = problems.adam(generator)
    run = problems.training_step(generator, optimizer, NTKDiscriminator(RELU_MLP, IPM()), real)
    run()
    spent, before, shares = [0.0], bridge.copies(), []
    originals = bridge.to_jax, bridge.to_torch

    def clocked(function: Callable) -> Callable:
        def call(value: object) -> object:
            if isinstance(value, jax.Array):
                value.block_until_ready()  # the work itself is no part of the crossing
            start = time.perf_counter()
            result = function(value)
            spent[0] += time.perf_counter() - start
            return result

        return call

    bridge.to_jax, bridge.to_torch = map(clocked, originals)
    try:
        for _ in range(repeats):
            spent[0], start = 0.0, time.perf_counter()
            run()
            shares.append((spent[0], time.perf_counter() - start))
    finally:
        bridge.to_jax, bridge.to_torch = originals
    share = float(np.median([crossing / whole for crossing, whole in shares]))
    work = f"bridge, share of a training step of DCGANGenerator, IPM, MLP, n=m={n}"
    crossing, whole = (1e3 * float(np.median(column)) for column in zip(*shares, strict=True))
    note = f"{crossing:.2f} of {whole:.0f} ms; {bridge.copies() - before} tensors copied"
    yield Row(work, "whole step", f"{share:.3%}", "", note)


def points_step(steps: int) -> Iterator[Row]:
    """Whole training steps of the paper's 2-D experiments, and what part of them the discriminator takes."""
    for regime, title in REGIMES.items():
        found = share(regime, steps)
        work = f"whole training step on 8 Gaussians, {title}, MLP, 500 particles against 500 points"
        ours, inside, by_hand = (f"{s * 1e3:.2f} ms" for s in (found.whole, found.discriminator, found.by_hand))
        note = f"{found.part:.0%} in the discriminator ({inside}); {by_hand} in a loop without Lightning"
        yield Row(work, "a bare LightningModule", ours, f"{found.bare / found.whole:.2f}x", note)


def start(n: int, repeats: int) -> Iterator[Row]:
    """The first step of a process whose programs have been compiled before."""
    for work, cold, warm in starts(n, repeats):
        note = f"of the processor; before it {warm.imports:.1f} s of imports"
        ratio = f"{cold.first / warm.first:.2f}x"
        yield Row(f"first step of a new process, {work}", "nothing compiled before", f"{warm.first:.1f} s", ratio, note)


def memory(jobs: list[tuple[str, int, bool]]) -> Iterator[Row]:
    """Peak memory over the inputs, in fresh processes."""
    for architecture, n, with_baseline in jobs:
        ours = peak("ours", architecture, n)
        theirs = peak("neural-tangents", architecture, n) if with_baseline else None
        ratio = f"{theirs / max(ours, 1):.1f}x" if ours is not None and theirs is not None else ""
        note = "" if theirs is None else f"neural-tangents {theirs:.0f} MiB"
        text = "failed" if ours is None else f"{ours:.0f} MiB"
        baseline = "neural-tangents" if with_baseline else "–"  # noqa: RUF001
        yield Row(f"peak memory over the inputs, IPM, {architecture}, n=m={n}", baseline, text, ratio, note)


def _vanilla_outputs(
    given: problems.Batch, dtype: str, rtol: float, matrix: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What the fitted weights give on the batch, by the Gram matrix in float64, and that matrix."""
    kernel, n = ArchitectureKernel(RELU_MLP), len(given.x)
    compiled = CompiledDiscriminator(kernel, GradientFlow(Vanilla(), 1.0, rtol), dtype)
    weights = np.asarray(compiled.fit(given.points[n:], given.x, n, n).weights, np.float64)
    if matrix is None:
        with compiled.precision():
            matrix = np.asarray(jax.jit(lambda p: expansion.gram(kernel, p))(given.points.astype(dtype)))
    return matrix @ weights, matrix


def _exact_weights(values: np.ndarray, vectors: np.ndarray, duration: float) -> np.ndarray:
    values, points = np.maximum(values, 0), len(values)
    rate = 4 * duration / points
    phi = np.where(values * rate > 1e-12, -np.expm1(-rate * values) / np.where(values > 0, values, 1), rate)
    return vectors @ (phi * (vectors.T @ np.asarray(baselines.targets(points), np.float64)))
