"""The programs that are counted, and their table."""

import functools
from collections.abc import Iterator
from typing import Literal
from unittest import mock

import jax
import jax.numpy as jnp

from benchmarks.cuda.compiled import BANDWIDTH, compiled
from benchmarks.cuda.cost import Cost, cost
from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel

_ARCHITECTURES = {"MLP": MLP(hidden_layers=3), "DCGAN": DCGAN(blocks=3)}
_PROBLEMS = ((128, 32), (1024, 32), (128, 64))  # n = m and pixels on a side, of three channels


def table(architectures: list[str]) -> Iterator[str]:
    """Lines of the table."""
    yield "| program | backend | launches | read and written, GB | the same at 4.8 TB/s, ms | temporaries, MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name in architectures:
        for n, size in _PROBLEMS:
            for backend in ("jax", "pallas"):
                found = of_step(name, backend, n, size)
                moved = found.read + found.written
                yield (
                    f"| {name} n=m={n}, {size}x{size}x3 | {backend} | {found.launches} | {moved / 1e9:.2f} | "
                    f"{moved / BANDWIDTH * 1e3:.3f} | {found.temporaries / 1e6:.0f} |"
                )


def of_step(name: str, backend: Literal["jax", "pallas"], n: int, size: int) -> Cost:
    """The IPM's scores and gradient at n fakes against n reals.

    Args:
        name: "MLP" or "DCGAN".
        backend: "jax" or "pallas".
        n: Fakes, and reals.
        size: Pixels on a side.
    """
    points = jax.ShapeDtypeStruct((2 * n, size, size, 3), jnp.float32)
    weights = jax.ShapeDtypeStruct((2 * n,), jnp.float32)
    kernel = ArchitectureKernel(_ARCHITECTURES[name], backend=backend)
    step = functools.partial(expansion.scores_and_gradient_at_points, kernel, first=n)
    with mock.patch.object(jax, "default_backend", return_value="gpu"):  # what the package asks before it offers one
        return cost(compiled(step, points, weights))
