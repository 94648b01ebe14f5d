"""The infinitely wide discriminator."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.discriminators.initial import InitialFunction
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.losses import IPM, AdversarialLoss

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel

_MOST_FILLING = 8  # a batch so many times smaller than any before is worth a compilation of its own


class NTKDiscriminator(Discriminator):
    """The discriminator at infinite width, trained by exact gradient flow for a time (Franceschi et al., ICML 2022).

    Training is solving for dual weights w over the batch: in closed form for IPM, by Krylov products for LSGAN, by an
    adaptive ODE solve for any other loss. Scores are ``s(x) = sum_p k(x, p) w_p``. All of it runs in JAX; tensors cross
    by DLPack. A trained discriminator belongs to its batch: it is no part of checkpoints and is fitted anew at each
    step.

    Args:
        kernel: An architecture, whose kernel is taken, or a kernel such as ``RBF(gamma=0.5)``.
        loss: The adversarial loss.
        time: Training time t of each ``fit``: learning rate x steps of the finite network it stands for; 0 leaves
            f_0 = 0.
        kind: "ntk", or "nngp" for a network of which only the last layer is trained.
        dtype: "float32" or "float64": the arithmetic between the crossings. Scores come back in the dtype of the
            samples.
        rtol: Relative tolerance of the solution: of the score function in the kernel's norm for LSGAN, of each step of
            the ODE solver for other losses. None: 2e-6 in float32, 1e-9 in float64.
        initial: f_0, the function before training; 0 where none is given.
        inertia: e > 0 trains by the heavy-ball flow, ``e f'' + f' =`` the gradient flow's ``f'``, from rest. It stands
            for gradient steps with learning rate h and momentum m where ``e = h (1 + m) / 2 / (1 - m)^2`` and
            ``time = steps h / (1 - m)``. 0 is gradient flow.

    Raises:
        ConfigError: If an argument is not one of those allowed, or JAX cannot be used.
    """

    def __init__(
        self,
        kernel: "Architecture | Kernel",
        loss: AdversarialLoss,
        time: float = 1.0,
        kind: Literal["ntk", "nngp"] = "ntk",
        dtype: Literal["float32", "float64"] = "float32",
        rtol: float | None = None,
        initial: InitialFunction | None = None,
        inertia: float = 0.0,
    ):
        super().__init__(loss=loss, time=time)
        if time is None:
            raise ConfigError("An infinite-width discriminator needs a training time, got time=None.")
        if dtype not in ("float32", "float64"):
            raise ConfigError(f"'dtype' must be 'float32' or 'float64', got {dtype!r}.")
        if rtol is not None and not 0 < rtol < 1:
            raise ConfigError(f"'rtol' must lie between 0 and 1, got {rtol}.")
        if not 0 <= inertia < math.inf:
            raise ConfigError(f"'inertia' must be at least 0, got {inertia}.")
        bridge.prepare(torch.device("cpu"))
        from lightning_gantk.kernels.dynamics import Dynamics, default_rtol
        from lightning_gantk.kernels.engine import Engine
        from lightning_gantk.kernels.heavy_ball import HeavyBall

        self.kernel = _as_kernel(kernel, kind)
        self.dtype, self.initial, self.inertia = dtype, initial, inertia
        settings = loss, float(time), rtol or default_rtol(dtype)
        self._dynamics = HeavyBall(*settings, inertia=float(inertia)) if inertia else Dynamics(*settings)
        self._engine = Engine(self.kernel, self._dynamics, dtype)
        self._trained: Any = None
        self._crossed: _Crossed | None = None  # the fakes of the last fit
        self._gram: Callable | None = None
        self._in_shape: tuple[int, ...] | None = None
        self._compiled: dict[str, set[int]] = {"real": set(), "fake": set(), "x": set()}  # batch sizes compiled for
        self._device: torch.device | None = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape != self._in_shape:
            self.kernel.check(in_shape)
            self._in_shape, self._trained = in_shape, None
            if self.initial is not None:
                self.initial.build(in_shape)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Finds the dual weights for the batch.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``; M and N may differ.

        Raises:
            ConfigError: If the batches do not fit each other or the kernel.
            TrainingDiverged: If the ODE solver does not reach its tolerance.
        """
        check_batch(real, fake)
        self.build(real.shape[1:])
        self._use(real.device)
        with self._engine.precision():
            arrays = [self._cross(batch, name) for name, batch in (("real", real), ("fake", fake))]
            f_0 = self._initial_values((fake, len(arrays[1])), (real, len(arrays[0])))
        self._crossed = None if fake.is_inference() else _Crossed(fake.detach(), fake._version, arrays[1])
        trained = self._engine.fit(*arrays, len(real), len(fake), f_0)
        trained.points.block_until_ready()  # the batch has been read: whoever owns it may change it
        if (self.loss.slopes == "any" or self.inertia) and not trained.converged:
            raise TrainingDiverged(
                f"The gradient flow of {self.loss!r} over time {self.time:g} was not solved to "
                f"rtol={self._dynamics.rtol:g} within {self._dynamics.max_steps} steps. A shorter time or a larger "
                "rtol helps; so does a look at the samples for NaN or huge values."
            )
        self._trained = trained

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, in the dtype of ``x`` (float32 for half precision).

        Differentiable once in ``x`` by torch's autograd; the fitted batch and the weights are constants of the
        derivative.

        Raises:
            ConfigError: If ``fit`` has not been called, or the samples have another shape.
        """
        if self._trained is None:
            raise ConfigError("The infinite-width discriminator has no scores before fit(real, fake).")
        if tuple(x.shape[1:]) != self._in_shape or len(x) == 0:
            raise ConfigError(f"Expected samples of shape (N, {str(self._in_shape)[1:]}, got {tuple(x.shape)}.")
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        scores = _Scores.apply(x, self) if torch.is_grad_enabled() and x.requires_grad else self._scores(x)
        return scores if self.initial is None else scores + self.initial(x)

    @torch.no_grad()
    def gram(self, x: Tensor) -> Tensor:
        """The Gram matrix ``(N, N)`` of samples ``(N, ...)``, in the discriminator's ``dtype``; needs no ``fit``."""
        import jax

        from lightning_gantk.kernels import products

        self.build(x.shape[1:])
        self._use(x.device)
        wide = torch.float64 if self.dtype == "float64" else torch.float32
        with self._engine.precision():
            if self._gram is None:
                self._gram = jax.jit(lambda points: products.gram(self.kernel, points))
            return bridge.to_torch(self._gram(bridge.to_jax(bridge.cast(x, wide))))

    @torch.no_grad()
    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """As the base class, with the kernel's MMD where L(f_t) = t MMD^2 (IPM)."""
        found = super().statistics(real_scores, fake_scores)
        if isinstance(self.loss, IPM) and self.initial is None and self.time and not self.inertia:
            found["mmd"] = (found["objective"] / self.time).clamp(min=0).sqrt()
        return found

    def extra_repr(self) -> str:
        return f"kernel={self.kernel!r}, loss={self.loss!r}, time={self.time:g}, dtype={self.dtype!r}"

    @torch.no_grad()
    def _initial_values(self, *batches: tuple[Tensor, int]) -> Any:
        """f_0 of each batch, filled up to a number of rows; None where f_0 = 0."""
        if self.initial is None:
            return None
        dtype = getattr(torch, self.dtype)
        return tuple(bridge.to_jax(bridge.fill(self.initial(batch).to(dtype), rows)) for batch, rows in batches)

    def _scores(self, x: Tensor) -> Tensor:
        with self._engine.precision():
            values = bridge.to_torch(self._engine.scores(self._trained, self._cross(x, "x")))
        return values[: len(x)].to(x.dtype)

    def _scores_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with self._engine.precision():
            array = self._cross(x, "x")
            if self._crossed is not None and array is self._crossed.array:
                results = self._engine.scores_and_gradient_at_fakes(self._trained)
            else:
                results = self._engine.scores_and_gradient(self._trained, array)
            values, gradient = (bridge.to_torch(result)[: len(x)].to(x.dtype) for result in results)
        return values, gradient

    def _cross(self, batch: Tensor, name: str) -> Any:
        """A batch as a JAX array, filled up to a size that was compiled for where one is near enough."""
        sizes = [size for size in self._compiled[name] if len(batch) <= size <= _MOST_FILLING * len(batch)]
        rows = min(sizes, default=len(batch))
        self._compiled[name].add(rows)
        if name == "x" and self._crossed is not None and self._crossed.is_of(batch, rows):
            return self._crossed.array
        wide = torch.float64 if self.dtype == "float64" and batch.dtype == torch.float64 else torch.float32
        return bridge.to_jax(bridge.fill(bridge.cast(batch.detach(), wide), rows))

    def _use(self, device: torch.device) -> None:
        if device != self._device:
            bridge.prepare(device)
            self._device = device


@dataclass(frozen=True)
class _Crossed:
    """A batch that has crossed to JAX: a training step scores the fakes that it has just fitted."""

    tensor: Tensor  # holds the memory, so that no other batch can come to lie there
    version: int
    array: Any

    def is_of(self, batch: Tensor, rows: int) -> bool:
        """Whether the array is that of a batch filled up to so many rows, unchanged since."""
        ours, theirs = ((t.data_ptr(), t.shape, t.stride(), t.dtype) for t in (self.tensor, batch))
        return (
            ours == theirs
            and len(self.array) == rows
            and not batch.is_inference()
            and (batch._version == self.version == self.tensor._version)
        )


class _Scores(torch.autograd.Function):
    """Scores whose gradient came with them: the backward pass is one product in torch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, discriminator: NTKDiscriminator) -> Tensor:
        values, gradient = discriminator._scores_and_gradient(x)
        ctx.save_for_backward(gradient, x)
        return values

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        gradient, x = ctx.saved_tensors
        product = upstream.view(-1, *(1,) * (gradient.ndim - 1)) * gradient
        # With `create_graph` the gradient would pass for a constant, and a penalty on it would silently do nothing.
        return (_Once.apply(product, x) if torch.is_grad_enabled() else product), None


class _Once(torch.autograd.Function):
    """A gradient that cannot be differentiated again, and says so."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(
            "The scores of an infinite-width discriminator can be differentiated once, not twice: it needs no gradient "
            "penalty, and for other uses of second derivatives a wide FiniteDiscriminator stands in."
        )


def _as_kernel(kernel: "Architecture | Kernel | Callable", kind: Literal["ntk", "nngp"]) -> "Kernel":
    from lightning_gantk.kernels.base import FunctionKernel, Kernel

    if isinstance(kernel, Architecture):
        return kernel.kernel(kind)
    if isinstance(kernel, Kernel):
        return kernel
    if callable(kernel):
        return FunctionKernel(kernel)
    raise ConfigError(f"'kernel' must be an architecture or a kernel such as RBF(gamma=0.5), got {kernel!r}.")
