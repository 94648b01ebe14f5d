"""What a layer is at infinite width: three functions, to which each kind of layer is registered by its type.

``marginals`` runs over samples and writes down what pairs will need of each layer (a tape); ``pairs`` runs over pairs
and reads the tapes of both sides. Arrays are ``(..., samples)`` for samples and ``(..., C, R)`` for the pairs of C
training points with R test points, ``...`` being ``(H, W)`` for images and nothing for vectors.

A layer that works on each pixel of a pair by itself registers ``pixelwise`` in the place of ``pairs``: it then runs in
the native kernels too, which are generated from it. A layer of your own needs no more than this::

    @marginals.register
    def _(layer: MyLayer, q, tape):
        tape.append((jnp.sqrt(q),))             # one entry: what pairs need of each sample
        return 2 * q                            # the variance after the layer

    @pixelwise.register
    def _(layer: MyLayer, state, x, p):
        return replace(state, v=..., theta=..., difference=...)
"""

import functools
from typing import Any

import jax

from lightning_gantk.architectures.layers import Layer
from lightning_gantk.kernels.recursions.state import Entry, Pairs, Reader, Tape

Array = jax.Array


@functools.singledispatch
def marginals(layer: Layer, q: Array, tape: Tape) -> Array:
    """Variances after a layer from those before it; appends to ``tape`` what pairs read."""
    raise NotImplementedError(f"No kernel recursion for {layer!r}.")


@functools.singledispatch
def pixelwise(layer: Layer, state: Pairs, x: Entry, p: Entry) -> Pairs:
    """The state after a layer that works on each pixel by itself, from its tape entries of both sides.

    All of it is elementwise in arrays that broadcast, and differentiable by JAX; the native kernels work it out with
    numbers in the place of arrays.
    """
    raise NotImplementedError(f"No kernel recursion for {layer!r}.")


@functools.singledispatch
def pairs(layer: Layer, state: Pairs, x: Reader, p: Reader) -> Pairs:
    """The state of pairs after a layer; x is the side that has derivatives."""
    return pixelwise(layer, state, x.next(), p.next())


def is_pixelwise(layer: Layer) -> bool:
    """Whether a layer works on each pixel of a pair by itself."""
    return _registered(pixelwise, layer) and not _registered(pairs, layer)


def has_rules(layer: Layer) -> bool:
    """Whether a layer, but for what it is made of, is known here."""
    return _registered(marginals, layer) and (_registered(pairs, layer) or _registered(pixelwise, layer))


def _registered(function: Any, layer: Layer) -> bool:  # what functools.singledispatch gives has no public type
    return function.dispatch(type(layer)) is not function.dispatch(object)
