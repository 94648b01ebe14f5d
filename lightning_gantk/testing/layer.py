"""The contract of a layer: a torch module and its kernel, proved in a small architecture around it."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
import torch

from lightning_gantk.architectures import Architecture
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, Layer
from lightning_gantk.testing.architecture import ArchitectureClaims
from lightning_gantk.testing.jax_side import gram


class Around(Architecture):
    """A first layer with weights, the layer, and the single output."""

    def __init__(self, layer: Layer, shape: tuple[int, ...]):
        self.layer, self.shape = layer, tuple(shape)

    def layers(self) -> tuple[Layer, ...]:
        first = Dense(1.2, 0.4) if len(self.shape) == 1 else Conv(3, 1, 1.2, 0.4)
        _, given = self.layer.build((4, *self.shape[1:]) if len(self.shape) == 3 else (4,), 4)
        flat = (Flatten(),) if len(given) == 3 else ()
        return (first, self.layer, *flat, Dense(1.0, None, features=1))


class LayerContract(ArchitectureClaims):
    """Proves a ``Layer`` between a first one with weights and the output: ``make`` gives the layer.

    Examples:
        >>> from lightning_gantk.architectures.layers import LayerNorm
        >>> from lightning_gantk.testing import LayerContract
        >>> class TestMine(LayerContract):  # pytest finds its tests
        ...     def make(self):
        ...         return LayerNorm()
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((5,),)

    @abstractmethod
    def make(self) -> Layer:
        """The layer."""

    def description(self, shape: tuple[int, ...]) -> Architecture:
        return Around(self.make(), shape)

    def test_module_gives_the_shape_that_is_said(self, shape: tuple[int, ...]) -> None:
        hidden = (6, *shape[1:]) if len(shape) == 3 else (6,)
        module, given = self.make().build(hidden, 7)
        for count in (1, 3):
            found = tuple(module(torch.randn(count, *hidden)).shape)
            wrong = f"{count} samples {hidden} give {found}, build() says {given} each."
            self.claim(found == (count, *given), wrong, Layer.build)

    def test_children_are_layers_that_a_walk_meets(self) -> None:
        layer = self.make()
        self.claim(all(isinstance(child, Layer) for child in layer.children), f"{layer.children!r}", Layer)
        walked: Iterator[Layer] = layer.walk()
        met = list(walked)
        wrong = f"walk() of {layer!r} meets {met!r}, without itself or one of its children {layer.children!r}."
        self.claim(all(any(one is other for other in met) for one in (layer, *layer.children)), wrong, Layer)

    def test_a_layer_said_to_be_smooth_has_no_cusp(self, shape: tuple[int, ...]) -> None:
        """Equal samples are taken for smooth then: with a cusp, gradients at near fakes would be wrong, silently.

        The second difference of k(x, .) at x falls as the square of the step where the kernel is smooth, as its first
        power at a cusp.
        """
        layer = self.make()
        if layer.cusp:
            pytest.skip("the layer is taken to have a cusp, which is right for any")
        x, direction = (self._samples(shape, 1, seed).astype(np.float64) for seed in (0, 1))
        direction /= math.sqrt(math.prod(shape))
        steps = (2e-3, -2e-3, 1e-3, -1e-3, 0, 0, 0)  # as many points as the other claims have
        points = np.concatenate([x + step * direction for step in steps])
        ahead, behind, near_ahead, near_behind, at, _, _ = gram(self.one_kernel(shape), x, points, "float64")[
            0
        ].tolist()
        differences = ahead + behind - 2 * at, near_ahead + near_behind - 2 * at
        # 4 where it is smooth, up to a step; 2 at a cusp; a kernel that is affine in x has no second difference at all.
        flat = abs(differences[0]) < 1e-12 * abs(at)
        ratio = differences[0] / differences[1] if differences[1] else math.inf
        wrong = f"{layer!r} says cusp=False, but halving a step makes the second difference {ratio:.2f} times smaller."
        self.claim(flat or ratio > 3, wrong, Layer)
