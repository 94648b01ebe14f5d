"""The middle between finite and infinite: a network that is linear in its weights."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.checks import in_words, number, whole
from lightning_gantk.discriminators.base import Discriminator, check_batch, fitting_alone
from lightning_gantk.discriminators.tangent_flow import TangentFlow
from lightning_gantk.empirical import empirical_ntk, parameters_of
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss


class LinearizedDiscriminator(Discriminator):
    """``f_t(x) = <grad_theta f(x; theta_0), u_t>``: a torch network linearised at its weights, trained exactly.

    Its kernel is the empirical NTK of the network at this width. Training is gradient flow for a time, as at infinite
    width: one backward pass for IPM, some products of a backward and a forward-mode pass for LSGAN, an ODE for other
    losses. No matrix over pairs of samples is made but for the last. Scores are one forward-mode pass. All of it is
    torch. What was learnt is u, as large as the weights whatever it has seen. f starts at 0.

    Args:
        network: An architecture, or any torch module that maps ``(N, ...)`` to ``(N,)`` or ``(N, 1)``, each sample by
            itself: it is copied, and used in evaluation mode.
        loss: The adversarial loss.
        time: Training time t of each ``fit``.
        width: Units (channels) of every hidden layer of an architecture; None for its usual ones.
        keep: Whether a ``fit`` goes on from the last f, or starts from 0 again.
        decay: lambda: f decays by ``f' = ... - lambda f`` while it trains, as with weight decay.
        relinearize_every: Fits after which the network moves to the weights that it has come to, and is linearised
            there: from the lazy regime to one that learns features. None never moves it.
        rtol: Relative tolerance of the solution, see ``TangentFlow``.

    Attributes:
        direction: u, ``(P,)``, in the order of the network's parameters.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP, IPM
        >>> from lightning_gantk.discriminators import LinearizedDiscriminator
        >>> discriminator = LinearizedDiscriminator(MLP(1), IPM(), time=1.0, width=32)
        >>> discriminator.fit(torch.full((4, 2), 1.0), torch.full((4, 2), -1.0))
        >>> x = torch.zeros(3, 2, requires_grad=True)
        >>> discriminator(x).sum().backward()
        >>> x.grad.shape
        torch.Size([3, 2])
    """

    direction: Tensor

    def __init__(
        self,
        network: Architecture | Network,
        loss: AdversarialLoss,
        time: float = 1.0,
        width: int | None = None,
        keep: bool = False,
        decay: float = 0.0,
        *,
        relinearize_every: int | None = None,
        rtol: float = 1e-6,
    ):
        super().__init__(loss=loss, time=time)
        if not isinstance(network, Architecture | nn.Module):
            raise ConfigError(f"'network' must be an Architecture or a torch module, got {in_words(network)}.")
        if time is None:
            raise ConfigError("A linearised discriminator needs a training time, got time=None.")
        whole("width", width, or_none=True)
        number("decay", decay)
        whole("relinearize_every", relinearize_every, or_none=True)
        if relinearize_every and keep and decay:
            raise ConfigError(
                "A network that is kept and moves cannot decay: what it has learnt is in its weights. Leave out one of "
                "keep, decay and relinearize_every."
            )
        if not 0 < rtol < 1:
            raise ConfigError(f"'rtol' must lie between 0 and 1, got {rtol}.")
        self.width, self.keep, self.decay, self.relinearize_every = width, keep, decay, relinearize_every
        self._flow = TangentFlow(loss, float(time), float(decay), rtol)
        self._pattern = (network,)  # in a tuple, so that torch does not register a module twice
        self.network: nn.Module | None = None
        self.origin: nn.Module | None = None  # the network at the start, where what is learnt moves it
        self._in_shape: tuple[int, ...] | None = None
        self._fits = 0

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape == self._in_shape:
            return
        (pattern,) = self._pattern
        if isinstance(pattern, Architecture):
            self.network = pattern.network(self.width or pattern.usual_width, in_shape)
        else:
            self.network = copy.deepcopy(pattern)
        self.network.requires_grad_(False).eval()
        if self.keep and self.relinearize_every:
            self.origin = copy.deepcopy(self.network)
        sizes = [parameter.numel() for parameter in self.network.parameters()]
        self.register_buffer("direction", torch.zeros(sum(sizes)).to(next(self.network.parameters())))
        self._in_shape = in_shape

    @property
    def has_witness(self) -> bool:
        return not (self.keep or self.decay)

    def reset(self) -> None:
        """Forgets what was learnt since the network was last moved."""
        if self._in_shape is not None:
            self.direction.zero_()

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Trains on a batch.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``; M and N may differ.

        Raises:
            ConfigError: If the batches do not fit each other, or are too large for a loss without a closed form.
            TrainingDiverged: If no numbers come out.
        """
        check_batch(real, fake)
        with fitting_alone(self), torch.no_grad(), _exact_convolutions():
            network = self._built(real)
            self._check(real)
            if self.relinearize_every and self._fits and self._fits % self.relinearize_every == 0:
                self._move(network)
            if not self.keep:
                self.direction.zero_()
            points = torch.cat([fake, real]).to(self.direction)
            mass = torch.cat([torch.full((len(batch),), 1 / len(batch)) for batch in (fake, real)]).double()
            self._train(network, points, mass, len(fake))
            self._fits += 1

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)`` in their dtype, differentiable in ``x``."""
        network = self._built(x)
        self._check(x)
        wide = x.to(self.direction.dtype)
        with torch.autocast(x.device.type, enabled=False):
            scores = jvp(self._function(network, wide), (parameters_of(network),), (self._split(self.direction),))[1]
            if self.origin is not None:
                scores = scores + _flat(network(wide)) - _flat(self.origin(wide))
        return scores.to(x.dtype)

    @torch.no_grad()
    def gram(self, x: Tensor) -> Tensor:
        """The empirical NTK ``(N, N)`` of samples ``(N, ...)``, at the weights where the network is linearised."""
        with _exact_convolutions():
            return empirical_ntk(self._built(x), x.to(self.direction.dtype), outputs="sum")

    def train(self, mode: bool = True) -> "LinearizedDiscriminator":
        super().train(mode)
        for network in (self.network, self.origin):
            if network is not None:
                network.eval()  # a kernel is of samples one by one
        return self

    def get_extra_state(self) -> dict[str, Any]:
        return {"fits": self._fits}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._fits = state["fits"]

    def _train(self, network: nn.Module, points: Tensor, mass: Tensor, fakes: int) -> None:
        parameters = parameters_of(network)
        function = self._function(network, points)
        _, pullback, *_ = vjp(function, parameters)

        def gradient(weights: Tensor) -> dict[str, Tensor]:
            return pullback(weights.to(self.direction))[0]

        def product(vector: Tensor) -> Tensor:
            return jvp(function, (parameters,), (gradient(vector),))[1].double().cpu()

        def matrix() -> Tensor:
            return empirical_ntk(network, points, outputs="sum").double().cpu()

        f_0 = self(points).double().cpu() if self.keep else torch.zeros_like(mass)
        weights = self._flow.weights(product, matrix, mass, fakes, f_0)
        step = torch.cat([part.flatten() for part in gradient(weights).values()])
        self.direction.mul_(self._flow.remaining).add_(step)

    def _move(self, network: nn.Module) -> None:
        """To the weights that were come to, where f is that of the network itself."""
        for name, part in self._split(self.direction).items():
            network.get_parameter(name).add_(part)
        self.direction.zero_()

    def _function(self, network: nn.Module, x: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
        return lambda parameters: _flat(functional_call(network, parameters, (x,)))

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        parameters = parameters_of(self._built(flat))
        parts = flat.split([parameter.numel() for parameter in parameters.values()])
        return {name: part.view_as(p) for (name, p), part in zip(parameters.items(), parts, strict=True)}

    def _built(self, samples: Tensor) -> nn.Module:
        """The network; where there is none yet, made for such samples."""
        if self.network is None:
            self.build(samples.shape[1:])
            self.to(samples.device)
        assert self.network is not None
        return self.network

    def _check(self, samples: Tensor) -> None:
        if tuple(samples.shape[1:]) != self._in_shape:
            raise ConfigError(f"Built for samples of shape {self._in_shape}, got {tuple(samples.shape[1:])}.")

    def extra_repr(self) -> str:
        return f"loss={self.loss!r}, time={self.time:g}, keep={self.keep}, decay={self.decay:g}"


def _flat(scores: Tensor) -> Tensor:
    if scores.ndim > 2 or scores.numel() != len(scores):
        raise ConfigError(
            f"A discriminator network must give one score per sample, (N,) or (N, 1); got {tuple(scores.shape)}."
        )
    return scores.view(-1)


def _exact_convolutions() -> AbstractContextManager[None]:
    """Convolutions of GPUs in float32 and not in TF32, of which the solver, which wants 1e-6, would learn nothing."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    )
