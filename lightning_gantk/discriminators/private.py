"""A critic that has seen the reals once, through noise: DP-NTK."""

import copy
import math
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lightning_gantk.architectures import Architecture, Network
from lightning_gantk.checks import in_words, whole
from lightning_gantk.discriminators.base import Discriminator, check_batch
from lightning_gantk.discriminators.labels import parted, shape_without_label
from lightning_gantk.empirical import features
from lightning_gantk.errors import Advice, ConfigError
from lightning_gantk.losses import IPM
from lightning_gantk.privacy import gaussian_epsilon, gaussian_sigma, secret_noise
from lightning_gantk.processes import take_from_first

_CHUNK = 2**25  # numbers of the features that are held at once while no gradient is asked for


class PrivateMeanEmbedding(Discriminator):
    """MMD to a mean embedding of all reals that is released once, with (epsilon, delta)-differential privacy.

    Features are ``phi(x) = grad_theta f(x; theta_0)`` of a random network, divided by their length: its empirical NTK,
    normalised. Before training, ``M~ = mean_j phi(y_j) + (2 sigma / m) N(0, I)`` of all m reals, of which a sample that
    is replaced moves the mean by at most 2 / m. The generator then minimises ``|mean_i phi(x_i) - M~|^2`` (Yang,
    Adamczewski, Sutherland and Park, DP-NTK, 2023), along ``f = 2 <phi, mean_i phi(x_i) - M~>``, fakes high. Nothing
    else of the reals reaches it: whatever is trained so is as private as M~. Metrics that compare with training samples
    are not.

    With ``epsilon: .inf`` there is no noise: MMD to the whole data set, at the cost of the fakes alone.

    With classes it is ``M~ = mean_j phi(y_j) onehot(l_j)^T + noise``, the product kernel ``k(x, x') [l = l']``, at the
    same sensitivity: a generator with ``classes`` asks for it. Its fakes have the classes of the real batch, so that
    the number of reals of each class is not protected.

    Args:
        network: An architecture, or any torch module that maps ``(N, ...)`` to ``(N,)`` or ``(N, O)``, each sample by
            itself; it is copied, and never trained.
        epsilon: Positive; infinity for no privacy.
        delta: Between 0 and 1; well below 1 / m.
        width: Units (channels) of every hidden layer of an architecture; None for its usual ones.
        classes: K, of samples that carry their class; None of samples without. That of the generator is taken.
        secret: Whether the noise is the operating system's, which nobody can make again; a checkpoint has M~, and a run
            goes on as it was. False takes it from torch: the same seed gives the same run, and whoever knows the seed,
            which checkpoints and logs have, takes the noise away. Experiments on public data may: there is a warning,
            and the epsilon that was spent is infinite.

    Attributes:
        embedding: M~, ``(P,)``, or ``(K, P)`` with classes.
        released: The sum of ``1 / sigma^2`` over all that the run has released, this discriminator's and those of the
            ones that it has replaced: together they are one release with ``sigma = released ** -0.5``. Infinite after
            one without noise, with noise that a seed makes again, or a discriminator that sees the reals themselves.

    Raises:
        ConfigError: If an argument is out of range.

    Examples:
        >>> import torch
        >>> from lightning_gantk import MLP
        >>> from lightning_gantk.discriminators import PrivateMeanEmbedding
        >>> discriminator = PrivateMeanEmbedding(MLP(1), epsilon=10.0, delta=1e-5, width=16)
        >>> discriminator.prepare([torch.zeros(32, 2)])  # all reals, once and never again
        >>> discriminator.fit(torch.zeros(4, 2), torch.ones(4, 2))
        >>> discriminator(torch.ones(3, 2)).shape
        torch.Size([3])
    """

    embedding: Tensor
    seen: Tensor
    released: Tensor

    def __init__(
        self,
        network: Architecture | Network,
        epsilon: float,
        delta: float,
        width: int | None = None,
        classes: int | None = None,
        *,
        secret: bool = True,
    ):
        super().__init__(loss=IPM(), time=None)
        if not isinstance(network, Architecture | nn.Module):
            raise ConfigError(f"'network' must be an Architecture or a torch module, got {in_words(network)}.")
        whole("width", width, or_none=True)
        whole("classes", classes, 2, or_none=True)
        self.sigma = gaussian_sigma(epsilon, delta)
        self.epsilon, self.delta, self.width, self.classes, self.secret = epsilon, delta, width, classes, secret
        self._pattern = (network,)  # in a tuple, so that torch does not register a module twice
        self.network: nn.Module | None = None
        self._in_shape: tuple[int, ...] | None = None
        self._difference: Tensor | None = None
        self.register_buffer("released", torch.zeros(()))

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape == self._in_shape:
            return
        if self._in_shape is not None:
            raise ConfigError(f"Built for samples of shape {self._in_shape}, got {in_shape}.")
        shape = in_shape if self.classes is None else shape_without_label(in_shape)
        (pattern,) = self._pattern
        if isinstance(pattern, Architecture):
            self.network = pattern.network(self.width or pattern.usual_width, shape)
        else:
            self.network = copy.deepcopy(pattern)
        self.network.requires_grad_(False).eval()
        size = sum(parameter.numel() for parameter in self.network.parameters())
        like = next(self.network.parameters())
        self.register_buffer("embedding", like.new_zeros(size if self.classes is None else (self.classes, size)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self._in_shape = in_shape

    @property
    def scores_before_fit(self) -> bool:
        return False

    @property
    def sees_all_reals(self) -> bool:
        return True

    @torch.no_grad()
    def prepare(self, reals: Iterable[Tensor]) -> None:
        """Releases the mean embedding of all reals, given in batches ``(B, ...)``. A checkpoint has it already."""
        if not self.secret and self.sigma:
            warnings.warn(
                "With secret=False the noise of PrivateMeanEmbedding comes from the run's seed, which checkpoints and "
                "logs have: whoever has one takes the noise away, and the reals are not private. Leave 'secret' out "
                "where they must be.",
                Advice,
                stacklevel=2,
            )
        if self._in_shape is not None and self.seen:
            return
        total, count = None, 0
        for batch in reals:
            new = self._in_shape is None
            self.build(tuple(batch.shape[1:]))
            if new:
                self.to(batch.device)
            found = self._mean(batch.to(self.embedding)) * len(batch)
            total, count = found if total is None else total + found, count + len(batch)
        if total is None:
            raise ConfigError("PrivateMeanEmbedding was given no real samples.")
        noise = secret_noise(*total.shape).to(total) if self.secret else torch.randn_like(total)
        take_from_first([noise])  # each process with noise of its own would be as many releases
        self.embedding.copy_(total / count + 2 * self.sigma / count * noise)
        self.seen.fill_(count)
        self.released += self._own_release

    @torch.no_grad()
    def succeed(self, state: dict[str, Tensor]) -> None:
        """Counts what the run had released before, with a discriminator of whatever kind, from that one's state."""
        before = [value for key, value in state.items() if key.rpartition(".")[-1] == "released"]
        self.released.copy_(before[0] if before else torch.tensor(math.inf))
        spent, total = (self._spent(float(self.released) + more) for more in (0.0, self._own_release))
        if math.isinf(spent):
            told = (
                "The discriminator before it was not private (it saw the reals, or had no secret noise): epsilon stays "
                "infinite, whatever this one spends."
            )
        else:
            told = (
                f"The one before it had spent epsilon = {spent:.4g}; together it is {total:.4g} (delta {self.delta:g})."
            )
        warnings.warn(f"PrivateMeanEmbedding releases the reals anew as this run goes on. {told}", Advice, stacklevel=2)

    @torch.no_grad()
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Takes the mean embedding of the fakes ``(N, ...)``; the reals ``(M, ...)`` are not looked at."""
        check_batch(real, fake)
        if self._in_shape is None or not self.seen:
            raise ConfigError(
                "PrivateMeanEmbedding sees all reals before training: call prepare(reals) first; in a run GAN does it."
            )
        self.build(tuple(fake.shape[1:]))
        self._difference = self._mean(fake.to(self.embedding)) - self.embedding

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, differentiable in them."""
        if self._difference is None:
            raise ConfigError("PrivateMeanEmbedding has no scores before fit(real, fake).")
        samples, rows = self._parted(x.to(self.embedding))
        along = self._difference.to(samples).view(-1, self._difference.shape[-1])
        found = [2 * (phi @ along.T).gather(1, own[:, None])[:, 0] for phi, own in self._features(samples, rows)]
        return torch.cat(found).to(x.dtype)

    @torch.no_grad()
    def gram(self, x: Tensor) -> Tensor:
        samples, rows = self._parted(x.to(self.embedding))
        phi = torch.cat([phi for phi, _ in self._features(samples, rows)])
        return phi @ phi.T * (rows[:, None] == rows)

    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """As the base class, with the epsilon that was spent; 1e30 where that is infinite."""
        spent = real_scores.new_tensor(min(self._spent(float(self.released)), 1e30))
        return {**super().statistics(real_scores, fake_scores), "epsilon_spent": spent}

    def train(self, mode: bool = True) -> "PrivateMeanEmbedding":
        super().train(mode)
        if self.network is not None:
            self.network.eval()
        return self

    def of_classes(self, classes: int) -> "PrivateMeanEmbedding":
        """One of the same settings for samples that carry one of so many classes.

        Raises:
            ConfigError: If it has another number of classes already.
        """
        if self.classes not in (None, classes):
            raise ConfigError(f"PrivateMeanEmbedding has {self.classes} classes and the generator {classes}.")
        (network,) = self._pattern
        return PrivateMeanEmbedding(network, self.epsilon, self.delta, self.width, classes, secret=self.secret)

    @property
    def _own_release(self) -> float:
        """What its release adds to ``released``."""
        return self.sigma**-2 if self.secret and self.sigma else math.inf

    def _spent(self, released: float) -> float:
        """The epsilon of all that was released."""
        return gaussian_epsilon(released**-0.5, self.delta) if released else 0.0

    def _mean(self, x: Tensor) -> Tensor:
        samples, rows = self._parted(x)
        total = self.embedding.new_zeros(self.classes or 1, self.embedding.shape[-1])
        for phi, own in self._features(samples, rows):
            total.index_add_(0, own, phi)
        return total.view_as(self.embedding) / len(x)

    def _parted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Samples without their class, and the row of the embedding that each belongs to."""
        self.build(tuple(x.shape[1:]))
        if self.classes is None:
            return x, torch.zeros(len(x), dtype=torch.long, device=x.device)
        samples, labels = parted(x)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise ConfigError(
                f"Samples carry their class last, between 0 and {self.classes - 1}; got {int(labels.min())} to "
                f"{int(labels.max())}. Without classes in the generator and the data leave 'classes' out."
            )
        return samples, labels

    def _features(self, samples: Tensor, rows: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Features phi of samples, ``(B, P)`` at a time, and their rows of the embedding."""
        assert self.network is not None
        parameters = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
        size = max(1, _CHUNK // self.embedding.shape[-1])
        for part, own in zip(samples.split(size), rows.split(size), strict=True):
            yield nn.functional.normalize(features(self.network, parameters, part), dim=1), own

    def extra_repr(self) -> str:
        of = "" if self.classes is None else f", classes={self.classes}"
        return f"epsilon={self.epsilon:g}, delta={self.delta:g}, sigma={self.sigma:.6g}{of}"
