"""What a discriminator is to the rest of the framework, whatever its width."""

import contextlib
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gantk.checks import in_words
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, AdversarialLoss
from lightning_gantk.processes import gathered

_guard = threading.Lock()
_busy: set[int] = set()  # ids of discriminators that are being fitted; not in the objects, which are copied and pickled


class Discriminator(nn.Module, ABC):
    """Trained by ``fit`` on a batch, then called for scores. One of your own implements ``fit`` and ``forward``.

    Parameters are made in ``build``, which knows the shape of samples, or before; ``fit`` alone trains them, so that
    they ask for no gradient in ``forward``. What training needs to go on beside parameters and buffers, an optimizer's
    moments say, is given to checkpoints by ``get_extra_state`` and taken back by ``set_extra_state``.

    Args:
        loss: The adversarial loss; its generator half is read by the training step.
        time: The training time t of one ``fit``; None where a discriminator has no such notion.

    Attributes:
        single_level: Whether ``generator_loss`` is differentiated through the training itself. Fakes that are trained
            on and fakes that are scored cannot be told apart then.
        conditions: How many channels (coordinates) of samples, the last ones, are given with them and no part of them:
            a class, say. They are inputs, and neither moved nor penalised.

    Examples:
        >>> import torch
        >>> from lightning_gantk.discriminators import Discriminator
        >>> from lightning_gantk.losses import IPM
        >>> class MeanWitness(Discriminator):
        ...     def __init__(self):
        ...         super().__init__(loss=IPM(), time=None)
        ...     def fit(self, real, fake):
        ...         self.slope = fake.mean(0) - real.mean(0)
        ...     def forward(self, x):
        ...         return x @ self.slope
        >>> discriminator = MeanWitness()
        >>> discriminator.fit(torch.zeros(4, 2), torch.ones(4, 2))
        >>> discriminator(torch.ones(1, 2))
        tensor([2.])
    """

    single_level: ClassVar[bool] = False

    def __init__(self, *, loss: AdversarialLoss | None, time: float | None):
        super().__init__()
        if not isinstance(loss, AdversarialLoss):
            raise ConfigError(f"'loss' must be an AdversarialLoss such as IPM() or LSGAN(), got {in_words(loss)}.")
        if time is not None and not (isinstance(time, Real) and 0 <= float(time) < math.inf):
            raise ConfigError(f"The discriminator's training time must be at least 0, got time={in_words(time)}.")
        self.loss, self.time = loss, time
        self.conditions = 0

    def condition_on(self, channels: int) -> None:
        """Says that the last channels (coordinates) of samples are given with them; before ``build``."""
        self.conditions = channels

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Gets ready for samples of shape ``(C, H, W)`` or ``(d,)``; a second call with the same shape does nothing.

        Raises:
            ConfigError: If samples of that shape cannot be taken.
        """

    @property
    def scores_before_fit(self) -> bool:
        """Whether it has scores before a fit, its first one and that after a resume: those of ``f = 0``, or of what a
        checkpoint has. One that belongs to its batch has none.
        """
        return True

    @property
    def sees_all_reals(self) -> bool:
        """Whether ``prepare`` is to be called before training."""
        return False

    @property
    def has_witness(self) -> bool:
        """Whether a fit with IPM gives ``time`` times the witness of the batch, fakes' mean embedding less reals'."""
        return False

    def prepare(self, reals: Iterable[Tensor]) -> None:
        """Sees all real samples, in batches ``(B, ...)``, before the first fit of a run; a resumed run has it again.

        Where several processes work on the run, each of them sees all.
        """

    def succeed(self, state: dict[str, Tensor]) -> None:
        """Takes what is to last of the discriminator that this one replaces as a run goes on, from its state."""

    @abstractmethod
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Trains the discriminator to tell ``real`` ``(M, ...)`` from ``fake`` ``(N, ...)``; both without graph.

        Where several processes work on the run, each of them calls it with the same samples, those of all processes,
        and comes out with the same discriminator.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Raw scores ``(N,)`` of samples ``(N, ...)``, differentiable in ``x`` and in nothing else."""

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Trains on the batch, and gives what the generator minimises: a scalar, differentiable in ``fake``.

        That is ``mean c(f(fake))`` with the trained f held fixed. A discriminator whose own training the generator is
        to see overrides it, and says ``single_level``.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``, with its graph. Where several processes work on the run, each gives its own samples,
                gets the loss of its own fakes, and the mean of their gradients is taken.
        """
        self.fit(gathered(real), gathered(fake.detach()))
        return self.loss.generator(self.generator_scores(fake))

    def generator_scores(self, fake: Tensor) -> Tensor:
        """The scores ``(N,)`` that the generator's loss is made of: those of its fakes ``(N, ...)``.

        A discriminator that scores them in another way for the generator than for anybody else (at noisy places, say)
        overrides it.
        """
        return self(fake)

    @property
    def scores_all_alike(self) -> bool:
        """Whether the generator's fakes get the scores that anybody else's samples get, those of ``forward``."""
        return type(self).generator_scores is Discriminator.generator_scores and not self.single_level

    def check(self) -> None:
        """Refuses a fit that failed after ``fit`` had returned, where work on a GPU goes on; waits for it.

        To be asked where scores are no numbers.

        Raises:
            TrainingDiverged: In words that say what failed.
        """

    def gram(self, x: Tensor) -> Tensor | None:
        """The Gram matrix ``(N, N)`` of samples ``(N, ...)`` under the kernel that the discriminator trains by.

        None where there is no such kernel.
        """
        return None

    @torch.no_grad()
    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """Figures to watch, from the scores ``(M,)`` and ``(N,)`` of the batch that ``fit`` saw; by name.

        With a witness the kernel's MMD is one of them: L(f_t) = t MMD^2 there.
        """
        found = {
            "objective": self.loss.discriminator(real_scores, fake_scores),
            "score_real": real_scores.mean(),
            "score_fake": fake_scores.mean(),
        }
        if self.has_witness and isinstance(self.loss, IPM) and self.time:
            found["mmd"] = (found["objective"] / self.time).clamp(min=0).sqrt()
        return found


def optimizers_without_state(discriminator: Discriminator) -> list[str]:
    """Kinds of modules in a discriminator that hold an optimizer, of which ``get_extra_state`` saves nothing."""
    found = (one for one in discriminator.modules() if any(isinstance(v, Optimizer) for v in vars(one).values()))
    return [type(one).__name__ for one in found if type(one).get_extra_state is nn.Module.get_extra_state]


def check_batch(real: Tensor, fake: Tensor) -> None:
    """Refuses batches that no discriminator can be trained on."""
    for name, batch in (("real", real), ("fake", fake)):
        if not isinstance(batch, Tensor) or not batch.is_floating_point():
            kind = batch.dtype if isinstance(batch, Tensor) else in_words(batch)
            raise ConfigError(
                f"'{name}' must be a torch tensor of floating-point numbers, (N, d) or (N, C, H, W), got {kind}: "
                "torch.as_tensor(samples).float() is one."
            )
        if batch.ndim < 2 or len(batch) == 0:
            raise ConfigError(
                f"'{name}' must be a batch of at least one sample, (N, d) or (N, C, H, W), got {tuple(batch.shape)}."
            )
    if real.shape[1:] != fake.shape[1:]:
        raise ConfigError(
            f"Real and fake samples must have one shape, got {tuple(real.shape[1:])} and {tuple(fake.shape[1:])}."
        )
    if real.device != fake.device:
        raise ConfigError(f"Real and fake samples must be on one device, got {real.device} and {fake.device}.")


@contextlib.contextmanager
def fitting_alone(discriminator: Discriminator) -> Iterator[None]:
    """Refuses a second thread that fits a discriminator while a first does: the scores of one would be of the other.

    Raises:
        RuntimeError: In the second.
    """
    with _guard:
        if id(discriminator) in _busy:
            raise RuntimeError(
                f"Two threads fit one {type(discriminator).__name__} at once: give each thread one of its own "
                "(copy.deepcopy makes one), or let them take turns."
            )
        _busy.add(id(discriminator))
    try:
        yield
    finally:
        with _guard:
            _busy.discard(id(discriminator))
