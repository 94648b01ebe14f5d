"""The discriminator that the generator sees through: GA-NTK."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import number
from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.discriminators.given_gradient import with_gradient
from lightning_gantk.discriminators.ntk import NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import LSGAN
from lightning_gantk.processes import gathered, processes, rank

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel

_MOST = 4096  # samples in a batch, reals and fakes


class SingleLevelNTK(Discriminator):
    """Fakes are moved so that the discriminator trained on them takes everything for real (GA-NTK, Zhang et al., 2022).

    The discriminator regresses labels, ``F = (I - exp(-tau K)) y`` on reals and fakes, and the generator minimises
    ``|real label - F|^2`` over all of them, by the gradient through K and the exponential: there is one level of
    optimisation and no inner loop. At a finite tau fakes that equal the reals are not the minimum: its bias goes with 1
    / tau.

    Args:
        kernel: A kernel, or an architecture, whose NTK is taken.
        time: tau: learning rate x steps, over the number of labels.
        ridge: Added to the eigenvalues of K, in units of their mean.
        targets: Labels of reals and fakes.
        objective: "squared"; or "softmax", the mean cross entropy of all points with "real", from two outputs with
            one-hot labels, as the authors' code has it.
        dtype: "float64" or "float32".

    Raises:
        ConfigError: If an argument is out of range, or a batch is too large: the cost grows with the cube of it.

    Examples:
        >>> import torch
        >>> from lightning_gantk import RBF
        >>> from lightning_gantk.discriminators import SingleLevelNTK
        >>> discriminator = SingleLevelNTK(RBF(gamma=0.5), time=1.0)
        >>> fake = torch.full((4, 1), 1.0, requires_grad=True)
        >>> discriminator.generator_loss(torch.zeros(4, 1), fake).backward()  # through the training itself
        >>> bool((fake.grad > 0).all())
        True
    """

    single_level: ClassVar[bool] = True

    def __init__(
        self,
        kernel: "Architecture | Kernel",
        time: float,
        ridge: float = 0.0,
        targets: tuple[float, float] = (1.0, 0.0),
        objective: Literal["squared", "softmax"] = "squared",
        *,
        dtype: Literal["float32", "float64"] = "float64",
    ):
        real, fake = targets
        super().__init__(loss=LSGAN(real=real, fake=fake, generator=real), time=time)
        if not time:
            raise ConfigError(f"'time' of SingleLevelNTK must be positive, got {time}.")
        number("ridge", ridge)
        if objective not in ("squared", "softmax"):
            raise ConfigError(f"'objective' must be 'squared' or 'softmax', got {objective!r}.")
        if objective == "softmax" and (real, fake) != (1.0, 0.0):
            raise ConfigError(f"objective='softmax' has one-hot labels: leave 'targets' out, got {targets}.")
        if real == fake:
            raise ConfigError(f"The targets of reals and fakes must differ, got {targets}.")
        bridge.prepare(torch.device("cpu"))
        from lightning_gantk.kernels.dynamics.gradient_flow import default_rtol
        from lightning_gantk.kernels.dynamics.regression import Regression

        flow = Regression(self.loss, float(time), default_rtol(dtype), targets=(real, fake), ridge=float(ridge))
        self.discriminator = NTKDiscriminator(kernel, self.loss, time, dtype=dtype, check_every=0, flow=flow)
        if self.discriminator.kernel.conditional:
            raise ConfigError(f"SingleLevelNTK needs a positive definite kernel, got {kernel!r}.")
        self.ridge, self.targets, self.dtype = float(ridge), (real, fake), dtype
        self.objective: Literal["squared", "softmax"] = objective
        self._compiled: Any = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        self.discriminator.build(in_shape)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        check_batch(real, fake)
        self._check_size(len(real) + len(fake))
        self.discriminator.fit(real, fake)

    def forward(self, x: Tensor) -> Tensor:
        """F at samples ``(N, ...)``, ``(N,)``, differentiable in them with the training held fixed."""
        return self.discriminator(x)

    def gram(self, x: Tensor) -> Tensor | None:
        return self.discriminator.gram(x)

    def check(self) -> None:
        self.discriminator.check()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """J, differentiable in ``fake`` once, through the training; the discriminator is fitted as well."""
        everything = gathered(real), gathered(fake.detach())
        self.fit(*everything)
        value, gradient = self._loss_and_gradient(*everything)
        counts = gathered(torch.tensor([len(fake)], device=fake.device))
        first = int(counts[: rank()].sum())
        own = gradient[first : first + len(fake)]
        # The mean over processes is taken of gradients that are parts of a sum.
        return with_gradient(value.to(fake.dtype), fake, (processes() * own).to(fake.dtype))

    def _loss_and_gradient(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        import jax

        from lightning_gantk.kernels.dynamics.single_level import SingleLevel

        if self._compiled is None:
            assert self.time is not None  # it is positive
            problem = SingleLevel(self.discriminator.kernel, self.time, self.ridge, self.targets, self.objective)
            self._compiled = jax.jit(problem.loss_and_gradient)
        wide = getattr(torch, self.dtype)
        with jax.enable_x64(self.dtype == "float64"):
            batches = (bridge.to_jax(bridge.cast(batch.detach(), wide)) for batch in (real, fake))
            value, gradient = (bridge.to_torch(found) for found in self._compiled(*batches))
        return value, gradient

    def _check_size(self, count: int) -> None:
        if count > _MOST:
            raise ConfigError(
                f"SingleLevelNTK decomposes the Gram matrix of the batch: at most {_MOST} samples, got {count}."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_compiled": None}

    def extra_repr(self) -> str:
        return f"time={self.time:g}, ridge={self.ridge:g}, targets={self.targets}, objective={self.objective!r}"
