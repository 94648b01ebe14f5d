"""Problems whose answers neural-tangents knows: inputs, and how it is asked, in float64."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import torch

from lightning_gantk.architectures import DCGAN, MLP, Architecture, ResNet
from lightning_gantk.architectures.activations import parse_activations
from lightning_gantk.architectures.layers import Conv, Dense, Flatten, LayerNorm, Pointwise, Sum
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.neural_tangents import load
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla
from lightning_gantk.testing.empirical import nhwc

# Some thousand operations on numbers of one size, in another order on another processor, with rounding 1.1e-16.
_ROUNDING = 1e-12
# The angle of a sample with itself is arccos(1 - a rounding error) in neural-tangents, 1.5e-8 to 2.1e-8, in each layer.
_ROUNDING_AT_COINCIDENCE = 1e-7

Answers = dict[str, np.ndarray]


class Problem(ABC):
    """One problem; ``rounding`` is how far two computers' answers may be apart, relative."""

    rounding: ClassVar[float] = _ROUNDING

    def answers(self) -> Answers:
        """What neural-tangents finds, by name."""
        with jax.enable_x64(True):
            return {name: np.asarray(value) for name, value in self.ask().items()}

    @abstractmethod
    def ask(self) -> dict[str, Any]:
        """The same where JAX computes in float64."""


@dataclass(frozen=True)
class Recursion(Problem):
    """Gram matrix, weighted sums of its columns, and the gradient of their total in x, of an architecture's kernel."""

    architecture: Architecture
    shape: tuple[int, ...]
    kind: str = "ntk"

    def inputs(self, dtype: str) -> list[np.ndarray]:
        """Samples x and y and the weights of y."""
        generator = np.random.default_rng(0)
        x, y = (generator.standard_normal((n, *self.shape)).astype(np.float32) for n in (5, 6))
        return [np.asarray(a, dtype) for a in (x, y + 0.3, generator.standard_normal(6).astype(np.float32))]

    def ask(self) -> dict[str, Any]:
        x, y, w = map(jnp.asarray, self.inputs("float64"))
        kernel = ArchitectureKernel(self.architecture, self.kind, backend="neural-tangents")
        gram, pullback = jax.vjp(lambda x: kernel(x, y), x)
        return {"gram": gram, "scores": gram @ w, "gradient": pullback(jnp.broadcast_to(w, gram.shape))[0]}


class BothArguments(Recursion):
    """Derivatives of a Gram matrix in both arguments, along a cotangent."""

    def cotangent(self) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((5, 6))

    def ask(self) -> dict[str, Any]:
        x, y, _ = map(jnp.asarray, self.inputs("float64"))
        kernel = ArchitectureKernel(self.architecture, self.kind, backend="neural-tangents")
        of_x, of_y = jax.vjp(kernel, x, y)[1](jnp.asarray(self.cotangent()))
        return {"x": of_x, "y": of_y}


@dataclass(frozen=True)
class Diagonal(Problem):
    """k(x, x)."""

    architecture: Architecture
    shape: tuple[int, ...]
    rounding: ClassVar[float] = _ROUNDING_AT_COINCIDENCE

    def inputs(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((5, *self.shape)).astype(np.float32)

    def ask(self) -> dict[str, Any]:
        x = jnp.asarray(self.inputs(), "float64")
        return {"diagonal": jnp.diag(ArchitectureKernel(self.architecture, backend="neural-tangents")(x, x))}


@dataclass(frozen=True)
class Flow(Problem):
    """Scores and their gradient after training, by `nt.predict`, on an architecture written for it by hand.

    It integrates the flow of -L on the training outputs, with the full Gram matrix.
    """

    architecture: Architecture
    stax: Callable[[], Callable]
    shape: tuple[int, ...]
    loss: AdversarialLoss
    sizes: tuple[int, int]
    time: ClassVar[float] = 0.7
    rounding: ClassVar[float] = _ROUNDING_AT_COINCIDENCE  # the fakes are among the points at which scores are asked

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Real samples, fakes, and points x."""
        generator = torch.Generator().manual_seed(0)
        real, fake = (torch.randn(size, *self.shape, generator=generator, dtype=torch.float64) for size in self.sizes)
        x = torch.cat([fake, torch.randn(2, *self.shape, generator=generator, dtype=torch.float64)])
        return real + 0.5, fake, x

    def ask(self) -> dict[str, Any]:
        predict, kernel = load().predict, self.stax()
        real, fake, x = map(nhwc, self.inputs())
        points, n, time = jnp.concatenate([fake, real]), len(fake), self.time
        gram = kernel(points, points, "ntk")
        zeros, zeros_at_x = jnp.zeros((len(points), 1)), jnp.zeros((len(x), 1))
        if isinstance(self.loss, LSGAN) and n == len(real):
            # mean squared error to -1 and +1: L's slope is 4 times that of 0.5 MSE
            targets = jnp.concatenate([-jnp.ones((n, 1)), jnp.ones((n, 1))])
            flow, time = predict.gradient_descent_mse(gram, targets), 4 * time
        else:
            flow = predict.gradient_descent(lambda f, _: -self.loss.discriminator(f[n:, 0], f[:n, 0]), gram, zeros)

        def scores(x: jax.Array) -> jax.Array:
            return flow(time, zeros, zeros_at_x, kernel(x, points, "ntk"))[1][:, 0]

        values, pullback = jax.vjp(scores, x)
        return {"scores": values, "gradient": pullback(jnp.ones_like(values))[0]}


@dataclass(frozen=True)
class Standard(Problem):
    """Gram matrix of the standard parameterization, and scores under IPM, on networks written by hand."""

    architecture: Architecture
    stax: Callable[[], Callable]
    shape: tuple[int, ...]

    def inputs(self) -> list[torch.Tensor]:
        """Real samples, fakes, and points x."""
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(n, *self.shape, generator=generator, dtype=torch.float64) for n in (4, 3, 5)]

    def ask(self) -> dict[str, Any]:
        kernel = self.stax()
        real, fake, x = map(nhwc, self.inputs())

        def scores(x: jax.Array) -> jax.Array:
            return kernel(x, fake, "ntk").mean(1) - kernel(x, real, "ntk").mean(1)

        values, pullback = jax.vjp(scores, x)
        gradient = pullback(jnp.ones_like(values))[0]
        return {"gram": kernel(x, real, "ntk"), "scores": values, "gradient": gradient}


class Custom(Architecture):
    """A user's own: an activation with a Dense top for each pixel, and an extra Dense after Flatten."""

    def layers(self):
        (relu,), (gelu,) = parse_activations("relu"), parse_activations("gelu")
        branches = Sum((Conv(3, 2, 1.0, 0.2), Conv(1, 2, 0.5, None)))
        return (
            Conv(3, 1, 1.2, 0.1),
            Pointwise(relu),
            branches,
            LayerNorm(),
            Pointwise(gelu),
            Dense(1.1, 0.3),
            Pointwise(relu),
            Flatten(),
            Dense(1.0, 0.2),
            Pointwise(relu),
            Dense(1.0, None, 1),
        )


_ACTIVATIONS = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "abs": "abs",
    "identity": "identity",
    "gelu": "gelu",
    "erf": {"name": "erf", "a": 1.5, "b": 0.6, "c": 0.4},
    "sigmoid_like": "sigmoid_like",
    "sin": {"name": "sin", "a": 1.2, "b": 0.7, "c": 0.3},
    "rbf": {"name": "rbf", "gamma": 0.5},
    "branches": ["relu", "erf"],
}


def _recursions() -> dict[str, Recursion]:
    found = {}
    for name, a in _ACTIVATIONS.items():
        found[f"mlp-{name}"] = Recursion(MLP(3, a, b_std=0.5), (20,))
        found[f"dcgan-{name}"] = Recursion(DCGAN(2, a, b_std=0.3, layer_norm=True), (5, 7, 2))
    for name in ("relu", "branches"):
        a = _ACTIVATIONS[name]
        found[f"mlp-plane-{name}"] = Recursion(MLP(2, a, b_std=0.3, W_std=1.3, layer_norm=True), (2,))
        found[f"resnet-{name}"] = Recursion(ResNet(1, 2, a, layer_norm=True), (2, 3, 3))
    return found | {
        "mlp-nngp": Recursion(MLP(2), (20,), "nngp"),
        "dcgan-nngp": Recursion(DCGAN(1), (4, 4, 1), "nngp"),
        "custom": Recursion(Custom(), (6, 5, 2)),
    }


def _mlp(hidden_layers: int, b_std: float) -> Callable:
    stax = load().stax
    hidden = [layer for _ in range(hidden_layers - 1) for layer in (stax.Relu(), stax.Dense(1, 1.0, b_std))]
    return stax.serial(stax.Flatten(), stax.Dense(1, 1.0, b_std), *hidden, stax.Relu(), stax.Dense(1, 1.0))[2]


def _dcgan(blocks: int, b_std: float) -> Callable:
    stax = load().stax
    halves = [layer for _ in range(blocks) for layer in (stax.Relu(), stax.Conv(1, (4, 4), (2, 2), "SAME", 1.0, b_std))]
    first = stax.Conv(1, (3, 3), (1, 1), "SAME", 1.0)
    return stax.serial(first, *halves, stax.Relu(), stax.Flatten(), stax.Dense(1, 1.0))[2]


def _flows() -> dict[str, Flow]:
    networks = {
        "mlp-vectors": (MLP(hidden_layers=3, b_std=1.0), lambda: _mlp(3, 1.0), (5,)),
        "mlp-images": (MLP(hidden_layers=2, b_std=0.5), lambda: _mlp(2, 0.5), (1, 6, 6)),
        "dcgan-images": (DCGAN(blocks=2, b_std=0.3), lambda: _dcgan(2, 0.3), (3, 8, 8)),
    }
    losses = {"ipm": IPM(), "lsgan": LSGAN(), "vanilla": Vanilla(), "hinge": Hinge()}
    return {
        f"{network}-{loss}-{m}-{n}": Flow(*networks[network], losses[loss], (m, n))
        for network in networks
        for loss in losses
        for m, n in ((6, 6), (5, 7))
    }


BASE_WIDTH = 24


def _standard_mlp() -> Callable:
    stax = load().stax
    hidden = stax.Dense(BASE_WIDTH, 1.3, 0.5, parameterization="standard")
    last = stax.Dense(1, 1.3, parameterization="standard")
    return stax.serial(stax.Flatten(), hidden, stax.Relu(), hidden, stax.Relu(), last)[2]


def _standard_mlp_of_images() -> Callable:
    stax = load().stax
    first, last = (stax.Dense(width, 1.0, parameterization="standard") for width in (BASE_WIDTH, 1))
    return stax.serial(stax.Flatten(), first, stax.Relu(), last)[2]


def _standard_dcgan() -> Callable:
    stax = load().stax
    first = stax.Conv(BASE_WIDTH, (3, 3), (1, 1), "SAME", 1.0, parameterization="standard")
    halve = stax.Conv(BASE_WIDTH, (4, 4), (2, 2), "SAME", 1.0, 0.3, parameterization="standard")
    last = stax.Dense(1, 1.0, parameterization="standard")
    return stax.serial(first, stax.Relu(), halve, stax.Relu(), halve, stax.Relu(), stax.Flatten(), last)[2]


def _standards() -> dict[str, Standard]:
    plain = {"parameterization": "standard", "base_width": BASE_WIDTH}
    return {
        "mlp": Standard(MLP(hidden_layers=2, W_std=1.3, b_std=0.5, **plain), _standard_mlp, (5,)),
        "mlp-images": Standard(MLP(hidden_layers=1, b_std=None, **plain), _standard_mlp_of_images, (2, 3, 3)),
        "dcgan": Standard(DCGAN(blocks=2, b_std=0.3, **plain), _standard_dcgan, (3, 8, 8)),
    }


FAMILIES: dict[str, dict[str, Any]] = {
    "recursions": _recursions(),
    "both_arguments": {"mlp": BothArguments(MLP(2), (20,)), "dcgan": BothArguments(DCGAN(1), (4, 4, 1))},
    "diagonals": {
        "mlp-vectors": Diagonal(MLP(3), (40,)),
        "mlp-plane": Diagonal(MLP(3), (2,)),
        "dcgan": Diagonal(DCGAN(2), (6, 6, 1)),
    },
    "flows": _flows(),
    "standard": _standards(),
}
