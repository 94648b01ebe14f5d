"""The finite discriminator: a torch network trained by gradient steps."""

import copy
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.architectures.base import AntisymmetricPair
from lightning_gantk.architectures.layers import NTKConv, NTKDense
from lightning_gantk.checks import in_words, whole
from lightning_gantk.discriminators.base import Discriminator, check_batch, fitting_alone
from lightning_gantk.discriminators.gradient_penalty import GradientPenalty, Place
from lightning_gantk.discriminators.initial import InitialFunction
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.processes import average, own_part, take_from_first
from lightning_gantk.torch_internals import state_without

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class FiniteDiscriminator(Discriminator):
    """A torch network, trained by ``steps`` gradient steps at each ``fit``; the optimizer is part of its state.

    By default it is plain gradient ascent on L with learning rate ``time / steps``: in the NTK parameterization that
    is the finite-width counterpart of ``NTKDiscriminator`` with the same architecture, loss and time.

    Where several processes work on the run, each takes the gradient of its part of the batch, all take the mean of
    these, and so the same step: weights stay equal to the bit.

    Args:
        architecture: An architecture, or any torch module that maps ``(N, ...)`` to ``(N,)`` or ``(N, 1)``.
        loss: The adversarial loss.
        width: Units (channels) of every hidden layer; None for the architecture's usual ones. Of no effect on a torch
            module.
        steps: Gradient steps per ``fit``.
        time: Training time T = learning rate x steps of one ``fit``, which gives the learning rate. None with
            ``optimizer``.
        optimizer: Makes another optimizer from the parameters, with a learning rate of its own; ``time`` must be None
            then.
        reset: Draw new weights and forget the optimizer's state before each ``fit``.
        antisymmetric: Start at f_0 = 0, as the infinite regime does, at twice the cost; of no effect on a torch module.
        gradient_penalty: Weight of the mean of (|grad f| - 1)^2 between real and fake samples (WGAN-GP, Gulrajani et
            al., 2017).
        initial: A function that stands before the network's scores and is not trained; with ``antisymmetric`` it is
            f_0, the same as in the infinite regime.
        spectral_norm: Divide every weight by its largest singular value (SN-GAN, Miyato et al., 2018); it stands in for
            the NTK scaling of the layers.
        penalty_center: The length that the penalty draws gradients to, in the place of 1. With 0 at real samples and
            the weight R/2 it is R_1 (Mescheder et al., 2018), which damps the GAN's rotation around its equilibrium.
        penalty_at: Where gradients are penalised: "between" pairs of a real and a fake sample, at "real" or at "fake"
            ones, or at "both".

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP, LSGAN, FiniteDiscriminator
        >>> discriminator = FiniteDiscriminator(MLP(2), LSGAN(), width=32, steps=20, time=1.0)
        >>> real, fake = torch.full((8, 2), 1.0), torch.full((8, 2), -1.0)
        >>> discriminator.fit(real, fake)  # always (real, fake)
        >>> bool(discriminator(real).mean() > 0 > discriminator(fake).mean())
        True
    """

    def __init__(
        self,
        architecture: Architecture | Network,
        loss: AdversarialLoss,
        width: int | None = None,
        steps: int = 1,
        time: float | None = 1.0,
        optimizer: OptimizerFactory | None = None,
        reset: bool = False,
        antisymmetric: bool = True,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        initial: InitialFunction | None = None,
        *,
        penalty_center: float = 1.0,
        penalty_at: Place = "between",
    ):
        super().__init__(loss=loss, time=time)
        if not isinstance(architecture, Architecture | nn.Module):
            raise ConfigError(
                f"'architecture' must be an Architecture or a torch module, got {in_words(architecture)}."
            )
        if not isinstance(initial, InitialFunction | None):
            raise ConfigError(f"'initial' must be an InitialFunction, of an architecture say, got {in_words(initial)}.")
        whole("steps", steps)
        whole("width", width, or_none=True)
        if (time is None) == (optimizer is None):
            raise ConfigError(
                "A finite discriminator follows from either its training time (time = learning rate x steps, by plain "
                "gradient steps) or an optimizer of its own: set one of them to null; got "
                f"time={time}, optimizer={optimizer}."
            )
        if reset and isinstance(architecture, nn.Module) and (kept := _never_redrawn(architecture)):
            raise ConfigError(
                f"'reset' draws new weights by reset_parameters() of each module, which {kept} has parameters without."
            )
        self.width, self.steps, self.reset = width, steps, reset
        self.antisymmetric, self.spectral_norm, self.initial = antisymmetric, spectral_norm, initial
        self.penalty = GradientPenalty(gradient_penalty, penalty_center, penalty_at)
        # A module given by the user is a pattern for `_draw`; the copy that is trained is `self.network`.
        self._pattern = (architecture,)  # in a tuple, so that torch does not register a module twice
        rate = 0.0 if time is None else time / steps
        self._make_optimizer = optimizer or functools.partial(torch.optim.SGD, lr=rate)
        self.network: nn.Module | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self._in_shape: tuple[int, ...] | None = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape == self._in_shape:
            return
        self._in_shape = in_shape
        if self.initial is not None:
            self.initial.build(in_shape)
        self.network = self._draw(in_shape)
        self.network.requires_grad_(False)  # trained by `fit` alone: no backward pass of the generator's reaches it
        self.optimizer = self._make_optimizer(self.network.parameters())

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Takes ``steps`` optimizer steps towards larger L.

        Args:
            real: ``(M, ...)``; of all processes, where there are several.
            fake: ``(N, ...)``; the same.
        """
        check_batch(real, fake)
        with fitting_alone(self):
            self._fit(real, fake)

    def _fit(self, real: Tensor, fake: Tensor) -> None:
        network, optimizer = self._built(real)
        if tuple(real.shape[1:]) != self._in_shape:
            raise ConfigError(f"Built for samples of shape {self._in_shape}, got {tuple(real.shape[1:])}.")
        if self.reset:
            optimizer = self._reset(network, tuple(real.shape[1:]))
        real, fake = real.detach(), fake.detach()
        network.requires_grad_(True)
        try:
            with torch.enable_grad():
                for _ in range(self.steps):
                    self._step(real, fake, network, optimizer)
        finally:
            network.requires_grad_(False)
            optimizer.zero_grad(set_to_none=True)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, differentiable in ``x`` and not in the network's parameters."""
        return self._scores(x, self._built(x)[0])

    def _built(self, samples: Tensor) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The network and its optimizer; where there are none yet, made for such samples."""
        if self.network is None:
            self.build(samples.shape[1:])
            assert self.network is not None
            self.network.to(samples.device)
        assert self.optimizer is not None
        return self.network, self.optimizer

    def _scores(self, x: Tensor, network: nn.Module) -> Tensor:
        scores = network(x)
        if scores.shape not in ((len(x),), (len(x), 1)):
            raise ConfigError(
                f"A discriminator network must give one score per sample, (N,) or (N, 1); got {tuple(scores.shape)} "
                f"for N={len(x)}."
            )
        return scores.view(-1) if self.initial is None else scores.view(-1) + self.initial(x)

    def _step(self, real: Tensor, fake: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        own = [own_part(real), own_part(fake)]
        real_scores, fake_scores = self._scores(torch.cat(own), network).split([len(batch) for batch in own])
        objective = -self.loss.discriminator(real_scores, fake_scores)
        if self.penalty.weight:
            places = own_part(self.penalty.places(real, fake))
            penalty = self.penalty(lambda x: self._scores(x, network), places, self.conditions)
            objective = objective + self.penalty.weight * penalty
        optimizer.zero_grad(set_to_none=True)
        objective.backward()
        average(p.grad for p in network.parameters() if p.grad is not None)
        optimizer.step()

    def _draw(self, in_shape: tuple[int, ...]) -> nn.Module:
        """A network with fresh weights."""
        (pattern,) = self._pattern
        if isinstance(pattern, Architecture):
            network = pattern.network(self.width or pattern.usual_width, in_shape, antisymmetric=self.antisymmetric)
        else:
            network = copy.deepcopy(pattern)
            if self.network is not None:  # the first draw is the one that the user made
                for module in network.modules():
                    if callable(reset := getattr(module, "reset_parameters", None)):  # a convention of torch's, no type
                        reset()
        if self.spectral_norm:
            for module in network.modules():
                if isinstance(module, NTKDense | NTKConv):
                    module.scale = 1.0
                if (
                    weight := dict(module.named_parameters(recurse=False)).get("weight")
                ) is not None and weight.ndim > 1:
                    spectral_norm(module)
            if isinstance(network, AntisymmetricPair):  # each half has found its largest singular vectors for itself
                network.minus.load_state_dict(network.plus.state_dict())
        return network

    def _reset(self, network: nn.Module, in_shape: tuple[int, ...]) -> torch.optim.Optimizer:
        network.load_state_dict(self._draw(in_shape).state_dict())
        take_from_first([*network.parameters(), *network.buffers()])
        self.optimizer = self._make_optimizer(network.parameters())
        return self.optimizer

    def get_extra_state(self) -> dict[str, Any]:
        # A copy: the state's tensors go on changing in place.
        return {"optimizer": None if self.optimizer is None else copy.deepcopy(self.optimizer.state_dict())}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        if self.optimizer is not None and state["optimizer"] is not None:
            self.optimizer.load_state_dict(state["optimizer"])

    def __getstate__(self) -> dict[str, Any]:
        if not self.spectral_norm or self.network is None:
            return vars(self)
        # torch does not pickle parametrized modules: what they hold goes along, and they are made anew.
        held = {"network": self.network.state_dict(), "extra": self.get_extra_state()}
        return {**state_without(self, "network"), "optimizer": None, "_held": held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held = state.pop("_held", None)
        super().__setstate__(state)
        if held is None:
            return
        shape, self._in_shape, self.network = self._in_shape, None, None
        assert shape is not None  # or there would be no network to hold
        with torch.random.fork_rng():
            self.build(shape)
        network = self.get_submodule("network")
        device = next(iter(held["network"].values())).device
        network.to(device).train(self.training)
        network.load_state_dict(held["network"])
        self.set_extra_state(held["extra"])

    def extra_repr(self) -> str:
        pace = f"time={self.time:g}" if self.time is not None else "optimizer given"
        return f"loss={self.loss!r}, steps={self.steps}, {pace}, reset={self.reset}"


def _never_redrawn(network: nn.Module) -> str | None:
    """The first kind of module in a network that has parameters of its own and no way to draw them anew."""
    for module in network.modules():
        if list(module.parameters(recurse=False)) and not callable(getattr(module, "reset_parameters", None)):
            return type(module).__name__
    return None
