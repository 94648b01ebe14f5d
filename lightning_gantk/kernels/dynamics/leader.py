"""The first of several processes solves; the others answer it.

The leader alone runs a solver and takes all decisions. The others wait for a vector, say what their part contributes to
its product with K, and wait for the next, until the weights come. So no two processes can disagree on the number of
steps, whatever their rounding, and none waits for what nobody sends.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels.dynamics import piecewise
from lightning_gantk.kernels.dynamics.gradient_flow import Solved
from lightning_gantk.kernels.dynamics.messages import Messages
from lightning_gantk.kernels.dynamics.part import Part

_HEAD = 4  # numbers after the vector of a message
_COLUMNS = 256  # of K, of one message


class _Task(IntEnum):
    END = 0
    PRODUCT = 1
    SIZES = 2
    DIAGONAL = 3
    COLUMN = 4
    COLUMNS = 5
    HOLD = 6
    HELD = 7


class _NoNumbersError(Exception):
    """K has entries that are no numbers."""


class _Answers:
    """What a part says to each task, the leader's own as well as another's."""

    def __init__(self, part: Part):
        self._part, share = part, part.share
        self._own = slice(share.start, share.start + share.each)
        self._held = piecewise.Held(share.each)  # the own part of each column that is held

    def hold(self, slot: int, column: jax.Array) -> None:
        self._held.hold(slot, np.asarray(column[self._own]))

    def answer(self, task: int, argument: int, vector: jax.Array) -> jax.Array:
        part = self._part
        if task == _Task.HELD:
            product = self._held.product(np.asarray(vector)[:argument])
            filled = np.zeros(part.share.points)
            filled[self._own] = product
            return part.put(filled)
        if task == _Task.COLUMN:
            return part.columns(argument, 1)
        if task == _Task.COLUMNS:
            return part.columns(argument, min(_COLUMNS, part.share.points))
        if task == _Task.DIAGONAL:
            return part.diagonal()
        return (part.product if task == _Task.PRODUCT else part.sizes)(vector)


class Leader(piecewise.Gram):
    """K as the sum of what all parts contribute.

    Args:
        part: The leader's own.
        messages: To the others.
    """

    def __init__(self, part: Part, messages: Messages):
        self._part, self._messages, self._answers = part, messages, _Answers(part)
        self._talks, self._diagonal = False, None
        self.dtype = np.dtype(part.points.dtype)

    def solve(self, solver: Callable[["Leader"], Solved]) -> Solved:
        """What the solver finds, to be told to all.

        Raises:
            TrainingDiverged: If the solver raises an exception; the others hear of no convergence.
        """
        failed = Solved(jnp.full_like(self._part.nothing, jnp.nan), jnp.array(False), jnp.array(jnp.nan), jnp.array(0))
        cause: Exception | None = None
        try:
            found = jax.block_until_ready(solver(self))
        except _NoNumbersError:
            found = failed
        except Exception as error:
            if self._talks:  # it is the line that broke: nobody would hear anything
                raise
            found, cause = failed, error
        self._say(_Task.END, found.weights, found.converged, found.error, found.products)
        if cause is not None:
            raise TrainingDiverged(f"The solver of the first process failed: {cause}") from cause
        return found

    @property
    def diagonal(self) -> np.ndarray:
        if self._diagonal is None:
            self._diagonal = np.asarray(self._ask(_Task.DIAGONAL, self._part.nothing))
        return self._diagonal

    def product(self, vector: jax.Array) -> jax.Array:
        """``K v``, ``(P,)``."""
        return self._ask(_Task.PRODUCT, vector)

    def products(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tasks = _Task.PRODUCT, _Task.SIZES
        plain, sizes = (np.asarray(self._ask(task, self._part.put(vector))) for task in tasks)
        return plain, sizes

    def row(self, sample: int) -> np.ndarray:
        return np.array(self._ask(_Task.COLUMN, self._part.nothing, sample))[:, 0]

    def hold(self, slot: int, row: np.ndarray) -> None:
        column = self._part.put(row)
        self._say(_Task.HOLD, column, slot)
        self._answers.hold(slot, column)

    def product_of_held(self, vector: np.ndarray) -> np.ndarray:
        filled = np.zeros(self._part.share.points)
        filled[: len(vector)] = vector
        return np.asarray(self._ask(_Task.HELD, self._part.put(filled), len(vector)))

    def whole(self) -> jax.Array:
        """All of K ``(P, P)``, in the dtype of the points."""
        points = self._part.share.points
        starts = range(0, points, min(_COLUMNS, points))
        parts = [self._ask(_Task.COLUMNS, self._part.nothing, first).astype(self.dtype) for first in starts]
        return jnp.concatenate(parts, 1)[:, :points]

    def _ask(self, task: _Task, vector: jax.Array, argument: int = 0) -> jax.Array:
        self._say(task, vector, argument)
        own = self._answers.answer(task, argument, vector)
        self._talks = True
        result = self._messages.total(own)
        self._talks = False
        if not jnp.isfinite(result).all() and jnp.isfinite(vector).all():
            raise _NoNumbersError
        return result

    def _say(self, task: _Task, vector: jax.Array, *more: Any) -> None:
        head = np.zeros(_HEAD)
        head[: 1 + len(more)] = [float(number) for number in (task, *more)]
        self._talks = True
        self._messages.of_first(jnp.concatenate([vector, self._part.put(head)]))
        self._talks = False


def follow(part: Part, messages: Messages) -> Solved:
    """Answers the leader until the weights come."""
    answers, points = _Answers(part), part.share.points
    listening = part.put(np.zeros(points + _HEAD))
    while True:
        heard = messages.of_first(listening)
        vector = heard[:points]
        task, *numbers = np.asarray(heard[points:]).tolist()
        if task == _Task.END:
            converged, error, products = numbers
            return Solved(vector, jnp.array(bool(converged)), jnp.asarray(error), jnp.array(int(products)))
        if task == _Task.HOLD:
            answers.hold(int(numbers[0]), vector)
        else:
            messages.total(answers.answer(int(task), int(numbers[0]), vector))
