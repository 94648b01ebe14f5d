"""Our own kernel recursions: an architecture's NTK or NNGP kernel as a function of distances, for one tile of pairs.

The state of a pair is the squared distance ``v = q_x + q_p - 2 k`` of its pre-activations (see ``duals``) and the NTK
``theta``; that of a sample is its variance q. Vectors have one number each, images one per pixel: below a Flatten top a
kernel needs the covariances of equal pixels alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer, LayerNorm, Pointwise, Serial, Sum
from lightning_gantk.kernels.recursions.duals import dual_of, has_dual
from lightning_gantk.kernels.recursions.rules import has_rules, marginals, pairs
from lightning_gantk.kernels.recursions.state import Pairs, Reader, Tape

Array = jax.Array


@dataclass(frozen=True)
class Recursion:
    """The kernel of a list of layers.

    Attributes:
        layer: The description.
        kind: "ntk" or "nngp".

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.kernels.recursions import recursion_of
        >>> recursion = recursion_of(MLP(1, b_std=None).layers(), "nngp")
        >>> variances, _ = recursion.marginals(jnp.array([2.0]))
        >>> variances.tolist()  # ReLU halves them
        [1.0]
    """

    layer: Serial
    kind: Literal["ntk", "nngp"]

    @property
    def images(self) -> bool:
        """Whether samples have pixels that the layers keep apart; otherwise they are flattened first."""
        return not isinstance(self.layer.layers[0], Flatten)

    @property
    def scale(self) -> float:
        """A mean squared distance of samples across which the kernel changes little; 0 where it has a cusp."""
        if self.layer.cusp:
            return 0.0
        affine = [layer.W_std**2 for layer in self.layer.walk() if isinstance(layer, Dense | Conv)]
        bends = [dual_of(layer.activation).bends for layer in self.layer.walk() if isinstance(layer, Pointwise)]
        if any(isinstance(layer, LayerNorm) for layer in self.layer.walk()):
            return 0.0  # what a distance is after it depends on how long the samples are
        return 1 / max(1e-30, max(bends, default=0.0) * math.prod(max(1.0, gain) for gain in affine))

    @property
    def homogeneous(self) -> bool:
        """Whether samples are vectors, and ``k(s x, p) = s k(x, p)`` for s > 0."""
        return not self.images and all(map(_is_homogeneous, self.layer.walk()))

    def marginals(self, q: Array) -> tuple[Array, Tape]:
        """Variances at the end, and the tape; ``q`` is the mean square of the sample(s' pixels), ``(..., samples)``."""
        tape: Tape = []
        return marginals(self.layer, q, tape), tape

    def kernel(
        self,
        v: Array,
        difference: Array | None,
        x: tuple[Array, Tape],
        p: tuple[Array, Tape],
        *,
        theta: Array | None = None,
        paired: bool = False,
    ) -> Array:
        """Kernel values ``(C, R)`` from mean squared differences ``(..., C, R)``.

        Args:
            v: Mean of ``(x - p)^2`` over the coordinates (the channels of a pixel).
            difference: Mean of ``(x - p) (x + p)`` likewise, or None.
            x: What ``marginals`` gave for R test points; derivatives flow through it and through ``v``.
            p: The same for C training points.
            theta: The NTK before these layers, where they are the last of more.
            paired: The pairs are (x_i, p_i) and not all combinations; arrays have one axis of samples then.
        """
        (q_x, tape_x), (q_p, tape_p) = x, p
        readers = (Reader(tape_x, None), Reader(tape_p, None)) if paired else (Reader(tape_x, -2), Reader(tape_p, -1))
        state = pairs(self.layer, Pairs(v, theta, difference, self.kind == "ntk"), *readers)
        if state.ntk:
            return jnp.zeros_like(state.v) if state.theta is None else state.theta
        return 0.5 * (q_x + q_p if paired else q_x[None] + q_p[:, None]) - 0.5 * state.v


def recursion_of(layers: tuple[Layer, ...], kind: Literal["ntk", "nngp"]) -> Recursion | None:
    """The recursion of an architecture's layers, or None where a layer is not known here."""
    layer = Serial(layers)
    return Recursion(layer, kind) if all(map(_is_known, layer.walk())) else None


def _is_homogeneous(layer: Layer) -> bool:
    """Whether outputs scale as inputs do; of layers of one's own nothing is known."""
    if isinstance(layer, Pointwise):
        return dual_of(layer.activation).homogeneous
    return isinstance(layer, Serial | Sum | Flatten) or (isinstance(layer, Dense) and not layer.b_std)


def _is_known(layer: Layer) -> bool:
    return has_rules(layer) and (not isinstance(layer, Pointwise) or has_dual(layer.activation))
