"""What processes that solve together can tell each other."""

from abc import ABC, abstractmethod

import jax


class Messages(ABC):
    """All processes call the same, in the same order.

    Attributes:
        which: Which process this is, from 0.
        processes: How many there are.
    """

    which: int
    processes: int

    @abstractmethod
    def of_first(self, array: jax.Array) -> jax.Array:
        """The array of the first process; all give one of the same shape and dtype."""

    @abstractmethod
    def total(self, array: jax.Array) -> jax.Array:
        """The sum of the arrays of all, which have one shape and dtype."""
