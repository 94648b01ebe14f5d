"""Milliseconds of the GPU by the sizes of fused kernels, in all and of the longest of them: ``python -m
benchmarks.cuda.sweep``, where there is a GPU.
"""

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax

from benchmarks import problems
from benchmarks.gpu import trace
from benchmarks.rows import RELU_DCGAN, RELU_MLP
from lightning_gantk.architectures import Architecture
from lightning_gantk.kernels.backends.base import Backend
from lightning_gantk.kernels.backends.pallas import images, vectors
from lightning_gantk.kernels.recursions import Recursion, recursion_of

_IMAGES = images.Sizes()
_VECTORS = vectors.Sizes()
_OF_IMAGES = (
    _IMAGES,
    replace(_IMAGES, warps=1),
    replace(_IMAGES, block=(1, 64), warps=1),
    replace(_IMAGES, block=(2, 64)),
    replace(_IMAGES, block=(8, 32)),
    replace(_IMAGES, back=128),
    replace(_IMAGES, lanes=64, span=4),
    replace(_IMAGES, stripe=1),
    replace(_IMAGES, stripe=4),
    replace(_IMAGES, first=2),
    replace(_IMAGES, points=8),
    replace(_IMAGES, points=32),
    replace(_IMAGES, span=4),
    replace(_IMAGES, memory=2**29),
    replace(_IMAGES, rows=512, memory=2**32),
)
_OF_VECTORS = (_VECTORS, replace(_VECTORS, warps=8), replace(_VECTORS, rows=16), replace(_VECTORS, columns=64, warps=8))


def main(repeats: int = 3) -> None:
    """Prints a line for every setting, as soon as it is compiled and timed; eight are compiled side by side."""
    with ThreadPoolExecutor(8) as pool:
        work = [(what, pool.submit(_compiled, backend, n), n) for what, backend, n in _settings()]
        for what, program, n in work:
            try:
                run, given = program.result(), _batch(n)
                arguments = given.points, given.weights
                found = trace.of(lambda r=run, a=arguments: jax.block_until_ready(r(*a)), repeats)
                busy = found.busy * found.seconds * 1e3
                longest = "; ".join(f"{name[:40]} {part * busy:.2f}" for name, part in found.longest)
                print(f"{busy:9.3f} ms  {what}: {longest}", flush=True)
            except jax.errors.JaxRuntimeError as error:  # too much shared memory, say
                print(f"        - ms  {what}: {str(error).splitlines()[0][:120]}", flush=True)


def _settings() -> Iterator[tuple[str, Backend, int]]:
    """What it is, the backend, and n = m."""
    recursion = _recursion(RELU_DCGAN)
    for n in (1024, 128):
        for sizes in _OF_IMAGES if n > 128 else _OF_IMAGES[:7]:
            yield f"DCGAN n=m={n} {sizes}", images.PallasImages(recursion, sizes=sizes), n
    recursion = _recursion(RELU_MLP)
    for sizes in _OF_VECTORS:
        yield f"MLP n=m=1024 {sizes}", vectors.PallasVectors(recursion, sizes=sizes), 1024


def _compiled(backend: Backend, n: int) -> Any:
    given = _batch(n)
    step = functools.partial(backend.scores_and_gradient_at_points, first=n)
    return jax.jit(step).lower(given.points, given.weights).compile()


def _recursion(architecture: Architecture) -> Recursion:
    recursion = recursion_of(tuple(architecture.layers()), "ntk")
    assert recursion is not None
    return recursion


_batch = functools.cache(functools.partial(problems.batch, size=32, channels=3))


if __name__ == "__main__":
    main()
