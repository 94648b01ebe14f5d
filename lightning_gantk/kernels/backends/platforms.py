"""The device of the arrays decides who computes, not that of the process: JAX knows it when it compiles."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from lightning_gantk.kernels.backends.base import Backend

Array = jax.Array


def by_platform(*, cpu: Callable, other: Callable, cuda: Callable | None = None) -> Callable[..., Any]:
    """A function that is ``cpu`` for arrays on the CPU, ``cuda``, if any, on CUDA GPUs, and else ``other``."""
    if jax.default_backend() == "cpu":  # there is nothing else
        return cpu
    return functools.partial(jax.lax.platform_dependent, cpu=cpu, cuda=cuda or other, default=other)


class ByPlatform(Backend):
    """A backend for arrays on the CPU and another for arrays elsewhere.

    Args:
        cpu: The first.
        other: The second.
        cuda: A third for arrays on CUDA GPUs, where these have one of their own.
    """

    def __init__(self, cpu: Backend, other: Backend, cuda: Backend | None = None):
        self.cpu, self.other, self.cuda = cpu, other, cuda or other
        self.name = cpu.name if jax.default_backend() == "cpu" else f"{cpu.name}; on CUDA {self.cuda.name}"
        self.grouped, self.block = cpu.grouped, cpu.block

    def gram(self, x: Array, y: Array) -> Array:
        return self._choose("gram")(x, y)

    def symmetric_gram(self, x: Array) -> Array:
        return self._choose("symmetric_gram")(x)

    def scores(self, x: Array, points: Array, weights: Array) -> Array:
        return self._choose("scores")(x, points, weights)

    def scores_and_gradient(self, x: Array, points: Array, weights: Array) -> tuple[Array, Array]:
        return self._choose("scores_and_gradient")(x, points, weights)

    def scores_and_gradient_at_points(self, points: Array, weights: Array, first: int) -> tuple[Array, Array]:
        return self._choose("scores_and_gradient_at_points", first=first)(points, weights)

    def of_groups(self, x: Array, points: Array, weights: Array, first: int | None) -> tuple[Array, Array]:
        return self._choose("of_groups", first=first)(x, points, weights)

    def of_groups_at_points(self, points: Array, weights: Array, first: int, count: int) -> tuple[Array, Array]:
        return self._choose("of_groups_at_points", first=first, count=count)(points, weights)

    def _choose(self, method: str, **options: Any) -> Callable[..., Any]:
        backends = {"cpu": self.cpu, "cuda": self.cuda, "other": self.other}
        chosen = {place: getattr(backend, method) for place, backend in backends.items()}
        if options:
            chosen = {place: functools.partial(function, **options) for place, function in chosen.items()}
        return by_platform(**chosen)
