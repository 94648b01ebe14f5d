"""What a recursion carries from layer to layer, for a tile of pairs, and what it writes down of each sample."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp

Array = jax.Array
Entry = tuple[Array, ...]
"""What pairs need of one layer, by sample."""
Tape = list[Entry]
"""What pairs need of all layers, in turn."""


@dataclass(frozen=True)
class Pairs:
    """The state of a tile of pairs.

    Attributes:
        v: Squared distance.
        theta: NTK; None at the input and for the NNGP kernel.
        difference: ``q_x - q_p`` from exact differences of the samples, or None where none was taken. It has no
            derivative of its own.
        ntk: Whether theta is wanted.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels.recursions import Pairs
        >>> pairs = Pairs(jnp.array([[0.5]]), theta=None, difference=jnp.array([[0.3]]), ntk=False)
        >>> round(float(pairs.gap(jnp.array([[1.0]]), jnp.array([[0.5]]))[0, 0]), 4)  # 0.3 / (1 + 0.5)
        0.2
    """

    v: Array
    theta: Array | None
    difference: Array | None
    ntk: bool

    def gap(self, sigma_x: Array, sigma_p: Array) -> Array:
        """``sigma_x - sigma_p``, the roots of both variances: by their exact difference where there is one."""
        if self.difference is None:
            return sigma_x - sigma_p
        return self.difference / jnp.maximum(sigma_x + sigma_p, jnp.finfo(self.v.dtype).tiny * 8)


class Reader:
    """Reads a tape from its start, shaped for one side of the pairs.

    Args:
        tape: The tape.
        axis: Where the other side's samples lie in arrays of pairs; None where samples are paired one to one.
    """

    def __init__(self, tape: Tape, axis: int | None):
        self._entries: Iterator[Entry] = iter(tape)
        self._axis = axis

    def next(self) -> Entry:
        """The entry of the next layer, with an axis of length 1 for the other side."""
        entry = next(self._entries)
        return entry if self._axis is None else tuple(jnp.expand_dims(part, self._axis) for part in entry)
