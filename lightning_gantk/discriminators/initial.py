"""The score function that a discriminator starts from, f_0, where it is not 0."""

import copy

import torch
from torch import Tensor, nn

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.checks import in_words, whole
from lightning_gantk.errors import ConfigError


class InitialFunction(nn.Module):
    """A fixed f_0, the same for a finite and an infinitely wide discriminator: what they learn is added to it.

    Drawn from an architecture it is a sample of what a network of that width is before training: at large widths a
    Gaussian process with the NNGP kernel.

    Args:
        function: An architecture, of which a network is drawn; or any torch module that maps ``(N, ...)`` to ``(N,)``
            or ``(N, 1)``, which is copied and never trained.
        width: Units (channels) of every hidden layer; of no effect on a torch module.
        scale: Factor of the function.
        seed: Of the draw, which leaves torch's global random numbers alone. The same seed is the same function in every
            run.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP, LSGAN, FiniteDiscriminator
        >>> from lightning_gantk.discriminators import InitialFunction
        >>> f_0 = InitialFunction(MLP(1), width=16, scale=0.5, seed=3)
        >>> f_0.build((2,))
        >>> f_0(torch.zeros(4, 2)).shape
        torch.Size([4])
        >>> discriminator = FiniteDiscriminator(MLP(1), LSGAN(), width=16, initial=f_0)
    """

    def __init__(
        self, function: Architecture | Network, *, width: int = 512, scale: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__()
        if not isinstance(function, Architecture | nn.Module):
            raise ConfigError(f"f_0 must be an Architecture or a torch module, got {in_words(function)}.")
        whole("width", width)
        self.width, self.scale, self.seed = width, scale, seed
        self._given = (function,)  # in a tuple, so that torch does not register a module twice
        self.network: nn.Module | None = None
        self._in_shape: tuple[int, ...] | None = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Makes the function for samples of a shape; a second call with the same shape does nothing."""
        in_shape = tuple(in_shape)
        if in_shape == self._in_shape:
            return
        (given,) = self._given
        if isinstance(given, Architecture):
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(self.seed)
                self.network = given.network(self.width, in_shape)
        else:
            self.network = copy.deepcopy(given)
        self.network.requires_grad_(False)
        self._in_shape = in_shape

    def forward(self, x: Tensor) -> Tensor:
        """f_0 of samples ``(N, ...)``, ``(N,)``, differentiable in ``x``."""
        if self.network is None:
            self.build(x.shape[1:])
            assert self.network is not None
            self.network.to(x.device)
        network = self.network
        parameter = next(network.parameters(), x)
        with torch.autocast(x.device.type, enabled=False):  # the same function in mixed precision
            scores = network(x.to(parameter.dtype)).to(x.dtype)
        if scores.shape not in ((len(x),), (len(x), 1)):
            raise ConfigError(f"f_0 must give one score per sample, (N,) or (N, 1); got {tuple(scores.shape)}.")
        return self.scale * scores.view(-1)

    def extra_repr(self) -> str:
        return f"{self._given[0]!r}, width={self.width}, scale={self.scale:g}, seed={self.seed}"
