"""Who runs the loops of a solver: XLA, inside one compiled program, or Python, which may send messages in a step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax

from lightning_gantk.kernels.backends.platforms import by_platform
from lightning_gantk.kernels.dynamics import runge_kutta


class Loops(ABC):
    """Loops as ``jax.lax`` has them, and an ODE solver whose steps are one of these loops."""

    @abstractmethod
    def while_loop(self, unfinished: Callable[[Any], Any], advance: Callable[[Any], Any], state: Any) -> Any:
        """Advances a state while it is unfinished."""

    @abstractmethod
    def fori_loop(self, start: Any, stop: Any, advance: Callable[[Any, Any], Any], state: Any) -> Any:
        """``advance(i, state)`` for each i."""

    @abstractmethod
    def cond(self, which: Any, first: Callable, second: Callable, *operands: Any) -> Any:
        """What the first or the second function makes of the operands."""

    @abstractmethod
    def by_platform(self, cpu: Callable, other: Callable, array: jax.Array) -> Any:
        """``cpu(array)`` for an array on the CPU, and ``other(array)`` for one elsewhere."""

    @abstractmethod
    def once(self, name: str, function: Callable) -> Callable:
        """A function of arrays alone, which is the same whenever the name is."""

    @abstractmethod
    def ode(self, field: Callable[[Any], Any], start: Any, time: float, **options: Any) -> runge_kutta.SmoothSolution:
        """As ``runge_kutta.solve``."""


class Compiled(Loops):
    """All in one program."""

    def while_loop(self, unfinished: Callable[[Any], Any], advance: Callable[[Any], Any], state: Any) -> Any:
        return jax.lax.while_loop(unfinished, advance, state)

    def fori_loop(self, start: Any, stop: Any, advance: Callable[[Any, Any], Any], state: Any) -> Any:
        return jax.lax.fori_loop(start, stop, advance, state)

    def cond(self, which: Any, first: Callable, second: Callable, *operands: Any) -> Any:
        return jax.lax.cond(which, first, second, *operands)

    def by_platform(self, cpu: Callable, other: Callable, array: jax.Array) -> Any:
        return by_platform(cpu=cpu, other=other)(array)

    def once(self, name: str, function: Callable) -> Callable:
        return function

    def ode(self, field: Callable[[Any], Any], start: Any, time: float, **options: Any) -> runge_kutta.SmoothSolution:
        return runge_kutta.solve(field, start, time, **options)


class Stepwise(Loops):
    """Step by step in Python; functions of arrays alone are compiled, once each."""

    def __init__(self) -> None:
        self._compiled: dict[str, Callable] = {}

    def while_loop(self, unfinished: Callable[[Any], Any], advance: Callable[[Any], Any], state: Any) -> Any:
        while unfinished(state):
            state = advance(state)
        return state

    def fori_loop(self, start: Any, stop: Any, advance: Callable[[Any, Any], Any], state: Any) -> Any:
        for i in range(int(start), int(stop)):
            state = advance(i, state)
        return state

    def cond(self, which: Any, first: Callable, second: Callable, *operands: Any) -> Any:
        return (first if which else second)(*operands)

    def by_platform(self, cpu: Callable, other: Callable, array: jax.Array) -> Any:
        return (cpu if next(iter(array.devices())).platform == "cpu" else other)(array)

    def once(self, name: str, function: Callable) -> Callable:
        return self._compiled.setdefault(name, jax.jit(function))

    def ode(self, field: Callable[[Any], Any], start: Any, time: float, **options: Any) -> runge_kutta.SmoothSolution:
        return runge_kutta.solve_stepwise(field, start, time, **options)


COMPILED = Compiled()
