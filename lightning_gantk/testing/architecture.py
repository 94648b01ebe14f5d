"""The contract of an architecture: one description, a finite network and a kernel that it tends to."""

from abc import abstractmethod
from typing import ClassVar, Literal

import pytest
import torch

from lightning_gantk.architectures import Architecture
from lightning_gantk.kernels import Kernel
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.testing.empirical import errors_at_two_widths
from lightning_gantk.testing.jax_side import BACKENDS, gram, kernel_by, sums
from lightning_gantk.testing.kernel import KernelClaims
from lightning_gantk.testing.slopes import error_of_slope, roundings, slope, step_of, unit

# Of neural-tangents in float64: native code works in float32, some hundred operations deep with rounding 6e-8; ours in
# JAX takes pairs nearer than 1e-8 as such.
_FROM_ORACLE = {"native": ("float32", 4e-6), "jax": ("float64", 1e-8)}


class ArchitectureClaims(KernelClaims):
    """What holds of every architecture and its kernel, whatever part of one ``make`` gives.

    Attributes:
        backends: Those that must take it; the others are compared where they do.
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((5,),)
    backends: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def description(self, shape: tuple[int, ...]) -> Architecture:
        """What the claims about networks are about, for samples of a shape."""

    def kernel(self, shape: tuple[int, ...]) -> Kernel:
        return self.description(shape).kernel("ntk")

    def test_ntk_of_the_finite_network_tends_to_the_kernel(self, shape: tuple[int, ...]) -> None:
        """Both sides are the same network, or the error would stay."""
        architecture = self.description(shape)
        narrow, wide, allowed = errors_at_two_widths(architecture, shape, self.one_kernel(shape))
        wrong = (
            f"{architecture!r}, samples {shape}: the NTK of finite networks is off the kernel by {narrow:.2g} at a "
            f"small width and {wide:.2g} at a large one; at most {allowed:.2g} is left if both are the same."
        )
        self.claim(wide <= allowed, wrong, Architecture)

    def test_network_gives_one_score_a_sample_with_its_gradient(self, shape: tuple[int, ...]) -> None:
        network = self.description(shape).network(8, shape).double()
        x = torch.randn(4, *shape, dtype=torch.float64, requires_grad=True)
        scores = network(x)
        self.claim(scores.shape == (4,), f"4 samples give scores {tuple(scores.shape)}.", Architecture.network)
        (gradient,) = torch.autograd.grad(scores.sum(), x)
        direction = unit(x.detach())
        wanted = slope(lambda at: network(at).sum(), x.detach(), direction, step_of(torch.float64))
        size = (scores.abs().sum() + gradient.norm()).item() + 1
        what = "gradient of the network's scores along a direction"
        self.close(
            (gradient * direction).sum(), wanted, error_of_slope(torch.float64, size), what, Architecture.network
        )
        one_by_one = torch.cat([network(sample) for sample in x.split(1)])
        what = "scores of samples one by one"
        self.close(one_by_one, scores, roundings(torch.float64, size), what, Architecture.network)

    @pytest.mark.parametrize("kind", ["ntk", "nngp"])
    def test_backends_agree(self, shape: tuple[int, ...], kind: Literal["ntk", "nngp"]) -> None:
        architecture = self.description(shape)
        if type(architecture.kernel(kind)) is not ArchitectureKernel:
            pytest.skip("an architecture with a kernel of its own has no backends")
        kernels = {name: kernel for name in BACKENDS if (kernel := kernel_by(architecture, name, kind)) is not None}
        missing = set(self.backends) - kernels.keys()
        wrong = f"{architecture!r} has no kernel by {', '.join(missing) or 'any backend'}."
        self.claim(kernels and not missing, wrong, ArchitectureKernel)
        x, points, weights = self._problem(shape)
        oracle = kernels.pop("neural-tangents", None) or kernels.pop("jax")
        wanted = (gram(oracle, x, points, "float64"), *sums(oracle, x, points, weights, "float64", len(x)))
        for name, kernel in kernels.items():
            dtype, error = _FROM_ORACLE[name]
            found = (gram(kernel, x, points, dtype), *sums(kernel, x, points, weights, dtype, len(x)))
            for what, one, other in zip(("Gram matrix", "scores", "gradients"), found, wanted, strict=True):
                self._near(one, other, error, f"{kind}, {what} by {name} against {oracle!r}", ArchitectureKernel)

    def test_copies_are_the_same_architecture(self, shape: tuple[int, ...]) -> None:
        architecture, (x, points, _) = self.description(shape), self._problem(shape)
        for way, other in self.copies(architecture, Architecture):
            self.claim(repr(other) == repr(architecture), f"After {way}: {other!r}.", Architecture)
            outputs = []
            for one in (architecture, other):
                torch.manual_seed(0)
                outputs.append(one.network(4, shape)(torch.ones(2, *shape)))
            wanted, found = outputs
            self.same(found, wanted, f"networks from one seed, after {way}", Architecture.network)
            found, wanted = (gram(one, x, points, "float32") for one in (other.kernel(), self.one_kernel(shape)))
            self.same(found, wanted, f"kernels after {way}", Architecture.kernel)


class ArchitectureContract(ArchitectureClaims):
    """Proves an ``Architecture`` and its kernel: ``make`` gives the description.

    Examples:
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.testing import ArchitectureContract
        >>> class TestMine(ArchitectureContract):  # pytest finds its tests
        ...     def make(self):
        ...         return MLP(hidden_layers=1)
    """

    @abstractmethod
    def make(self) -> Architecture:
        """The description."""

    def description(self, shape: tuple[int, ...]) -> Architecture:
        return self.make()
