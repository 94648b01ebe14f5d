"""A discriminator that knows all reals by first and second moments of features of its kernel."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.architectures.layers import NTKDense
from lightning_gantk.checks import in_words, number, whole
from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, AdversarialLoss


class MomentEmbedding(Discriminator):
    """The normalised witness of the MMD to all reals under the kernel ``k(x, y) = z(x).z(y) + second (z(x).z(y))^2``.

    z are the principal components of random features phi on the reals, brought nearer to one another: component i, of
    variance v_i over the reals, is divided by ``(v_i + ridge mean(v))^(whitening / 2)``, and all by one factor that
    makes the mean variance 1. As features an architecture has its last hidden layer at random weights, whose kernel
    ``<phi(x), phi(y)> / width`` tends to the NNGP kernel as the width grows. Nothing of them is ever trained.

    The squared MMD is ``|E z(x) - E z(y)|^2 + second |E z(x) z(x)^T - E z(y) z(y)^T|^2``. Both moments of the reals are
    those of the whole data set, taken before training. Those of the fakes are averages over the fits so far, of which
    each fit has the share ``decay``: the noise of one batch is averaged out while the generator hardly moves. f is
    the witness over its norm, the MMD, high on fakes. A step costs one pass of the fakes through the network, whatever
    the number of reals.

    Args:
        architecture: An architecture, or any torch module that maps ``(N, ...)`` to features ``(N, F)``, each sample by
            itself; it is copied, and never trained.
        loss: IPM, and nothing else.
        width: Units (channels) of every hidden layer of an architecture; None for its usual ones.
        components: Most components that are kept, those of the largest variance.
        second: Weight of the second moments, at least 0.
        whitening: 0 leaves variances as they are, 1 makes them equal.
        ridge: Share of the mean variance below which components are not brought nearer.
        decay: Share of a fit in the moments of the fakes; 1 forgets all fits before. The first ``1 / decay`` fits have
            equal shares.

    Raises:
        ConfigError: If an argument is out of range.

    References:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 2012 (the witness). Mroueh et al., "McGan: Mean and Covariance
        Feature Matching GAN", ICML 2017, and dos Santos et al., "Learning Implicit Generative Models by Matching
        Perceptual Features", ICCV 2019 (moments of learnt and of given features; averages over fits).

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.discriminators import MomentEmbedding
        >>> discriminator = MomentEmbedding(MLP(1), width=32, components=8)
        >>> real = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
        >>> discriminator.prepare([real[:32], real[32:]])  # all reals, once
        >>> discriminator.fit(real, real + 3)
        >>> bool(discriminator(real + 3).mean() > discriminator(real).mean())  # fakes score high
        True
    """

    center: Tensor
    basis: Tensor
    real_second: Tensor
    mean: Tensor
    covariance: Tensor
    seen: Tensor
    fits: Tensor

    def __init__(
        self,
        architecture: Architecture | Network,
        loss: AdversarialLoss | None = None,
        width: int | None = None,
        *,
        components: int = 1024,
        second: float = 0.05,
        whitening: float = 0.5,
        ridge: float = 0.1,
        decay: float = 0.02,
    ):
        super().__init__(loss=IPM() if loss is None else loss, time=None)
        if not isinstance(self.loss, IPM):
            raise ConfigError(f"MomentEmbedding has the witness of IPM: its loss must be IPM, got {loss!r}.")
        if not isinstance(architecture, Architecture | nn.Module):
            raise ConfigError(
                f"'architecture' must be an Architecture or a torch module, got {in_words(architecture)}."
            )
        for name, count in (("width", width), ("components", components)):
            whole(name, count, or_none=True)
        for name, value in (("second", second), ("whitening", whitening)):
            number(name, value)
        number("ridge", ridge, positive=True)
        if not 0 < decay <= 1:
            raise ConfigError(f"'decay' must lie above 0 and be at most 1, got {decay}.")
        self.width, self.components, self.second = width, components, second
        self.whitening, self.ridge, self.decay = whitening, ridge, decay
        self._pattern = (architecture,)  # in a tuple, so that torch does not register a module twice
        self.network: nn.Module | None = None
        self._in_shape: tuple[int, ...] | None = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape == self._in_shape:
            return
        if self._in_shape is not None:
            raise ConfigError(f"Built for samples of shape {self._in_shape}, got {in_shape}.")
        (pattern,) = self._pattern
        if isinstance(pattern, Architecture):
            self.network = _hidden(pattern, self.width or pattern.usual_width, in_shape)
        else:
            self.network = copy.deepcopy(pattern)
        self.network.requires_grad_(False).eval()
        with torch.no_grad():
            like = next(self.network.parameters(), torch.zeros(()))
            size = self._features(like.new_zeros(1, *in_shape)).shape[1]
        kept = min(self.components, size)
        shapes = {"center": (size,), "basis": (size, kept), "real_second": (kept,)}
        shapes |= {"mean": (kept,), "covariance": (kept, kept)}
        for name, shape in shapes.items():
            self.register_buffer(name, like.new_zeros(shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("fits", torch.zeros((), dtype=torch.long))
        self._in_shape = in_shape

    @property
    def sees_all_reals(self) -> bool:
        return True

    @torch.no_grad()
    def prepare(self, reals: Iterable[Tensor]) -> None:
        """Takes the moments of all reals, given in batches ``(B, ...)``. A checkpoint has them already."""
        if self._in_shape is not None and self.seen:
            return
        count, total, products = 0, torch.zeros(()), torch.zeros(())
        for batch in reals:
            new = self._in_shape is None
            self.build(tuple(batch.shape[1:]))
            if new:
                self.to(batch.device)
            phi = self._features(batch.to(self.center)).double()
            count, total, products = count + len(phi), total + phi.sum(0), products + phi.T @ phi
        if count < 2:
            raise ConfigError(f"MomentEmbedding needs two real samples or more, got {count}.")
        center = total / count
        variances, directions = torch.linalg.eigh(products / count - torch.outer(center, center))
        kept = self.basis.shape[1]
        variances, directions = variances.flip(0)[:kept].clamp(min=0), directions.flip(1)[:, :kept]
        if not variances[0] > 0:
            raise ConfigError("All real samples have the same features: there is nothing to tell them from.")
        scales = (variances + self.ridge * variances.mean()) ** (-self.whitening / 2)
        scales /= (scales**2 * variances).mean().sqrt()
        self.center.copy_(center)
        self.basis.copy_(directions * scales)
        self.real_second.copy_(scales**2 * variances)
        self.seen.fill_(count)

    def reset(self) -> None:
        """Forgets the fakes: f = 0 again."""
        if self._in_shape is not None:
            for moment in (self.mean, self.covariance, self.fits):
                moment.zero_()

    @torch.no_grad()
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Takes the moments of the fakes ``(N, ...)`` in; the reals ``(M, ...)`` are known already."""
        check_batch(real, fake)
        if self._in_shape is None or not self.seen:
            raise ConfigError(
                "MomentEmbedding sees all reals before training: call prepare(reals) first; in a run GAN does it."
            )
        self.build(tuple(fake.shape[1:]))
        z = self._components(fake.to(self.center))
        self.fits += 1
        share = max(self.decay, 1 / int(self.fits))
        self.mean.lerp_(z.mean(0), share)
        self.covariance.lerp_(z.T @ z / len(z) - self.real_second.diag(), share)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, differentiable in them."""
        self.build(tuple(x.shape[1:]))
        z = self._components(x.to(self.center))
        witness = z @ self.mean + self.second * ((z @ self.covariance) * z).sum(1)
        return (witness / self._mmd().clamp(min=torch.finfo(witness.dtype).tiny)).to(x.dtype)

    @torch.no_grad()
    def gram(self, x: Tensor) -> Tensor:
        z = self._components(x.to(self.center))
        products = z @ z.T
        return products + self.second * products**2

    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """As the base class, with the MMD of the averaged fakes to all reals."""
        return {**super().statistics(real_scores, fake_scores), "mmd": self._mmd()}

    def train(self, mode: bool = True) -> "MomentEmbedding":
        super().train(mode)
        if self.network is not None:
            self.network.eval()
        return self

    def _mmd(self) -> Tensor:
        return (self.mean.square().sum() + self.second * self.covariance.square().sum()).sqrt()

    def _components(self, x: Tensor) -> Tensor:
        """Components z of samples ``(N, ...)``, ``(N, components)``."""
        return (self._features(x) - self.center) @ self.basis

    def _features(self, x: Tensor) -> Tensor:
        """Phi of samples ``(N, ...)``, ``(N, F)``."""
        assert self.network is not None
        with torch.autocast(x.device.type, enabled=False):
            phi = self.network(x)
        if phi.ndim != 2 or len(phi) != len(x):
            raise ConfigError(f"The network must give features (N, F) for N samples, got {tuple(phi.shape)}.")
        return phi

    def extra_repr(self) -> str:
        return (
            f"width={self.width}, components={self.components}, second={self.second:g}, whitening={self.whitening:g}, "
            f"ridge={self.ridge:g}, decay={self.decay:g}"
        )


def _hidden(architecture: Architecture, width: int, in_shape: tuple[int, ...]) -> nn.Module:
    """The architecture's network without its last layer."""
    body = architecture.network(width, in_shape).get_submodule("body")
    if not isinstance(body, nn.Sequential) or not isinstance(body[-1], NTKDense):
        raise ConfigError(
            f"{architecture!r} does not end in a dense layer, of which the features would be the input: take one "
            "activation, or give a torch module whose outputs are the features."
        )
    return body[:-1].to(memory_format=torch.channels_last)
