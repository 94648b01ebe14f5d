"""The contract of an activation: a function in torch and its dual in JAX, the same in every backend."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from lightning_gantk.architectures import DCGAN, MLP, Architecture
from lightning_gantk.architectures.activations import Activation, parse_activations
from lightning_gantk.testing.architecture import ArchitectureClaims
from lightning_gantk.testing.slopes import roundings, step_of


class ActivationContract(ArchitectureClaims):
    """Proves an activation in networks of vectors and, where ``shapes`` has some, of images.

    ``make`` gives what the argument ``activation`` of an architecture takes: a name or a mapping with parameters.

    Examples:
        >>> from lightning_gantk.testing import ActivationContract
        >>> class TestShiftedErf(ActivationContract):  # pytest finds its tests
        ...     def make(self):
        ...         return {"name": "erf", "c": 1.0}
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((5,),)

    @abstractmethod
    def make(self) -> str | Mapping[str, Any]:
        """The activation, which has been registered."""

    def description(self, shape: tuple[int, ...]) -> Architecture:
        return MLP(2, self.make(), b_std=0.5) if len(shape) == 1 else DCGAN(1, self.make(), b_std=0.5)

    def test_function_is_pointwise_and_keeps_shape_and_dtype(self) -> None:
        (activation,) = parse_activations(self.make())
        function = activation.module()
        for dtype in (torch.float32, torch.float64):
            x = torch.linspace(-3, 3, 24, dtype=dtype)
            whole = function(x)
            self.claim(whole.dtype == dtype, f"{activation} of {dtype} is {whole.dtype}.", Activation)
            error = roundings(dtype, float(whole.abs().max()) + 1)
            self.close(function(x.view(2, 3, 4)), whole.view(2, 3, 4), error, f"{activation} of images", Activation)
            self.close(torch.stack([function(one) for one in x]), whole, error, f"{activation} one by one", Activation)

    def test_slope_is_that_of_the_function(self) -> None:
        """At a bend any number between the slopes of both sides is one."""
        (activation,) = parse_activations(self.make())
        function, step = activation.module(), step_of(torch.float64)
        x = torch.linspace(-3, 3, 25, dtype=torch.float64).requires_grad_()  # 0 is one of them
        values = function(x)
        (slopes,) = torch.autograd.grad(values.sum(), x)
        x, values = x.detach(), values.detach()
        right, left = (function(x + step) - values) / step, (values - function(x - step)) / step
        allowed = roundings(torch.float64, float(values.abs().max()) + 1) / step + (right - left).abs()
        inside = (slopes >= torch.minimum(left, right) - allowed) & (slopes <= torch.maximum(left, right) + allowed)
        self.claim(inside.all(), f"{activation}: a wrong slope at {x[~inside].tolist()}.", Activation)
