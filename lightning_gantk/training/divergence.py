"""NaN and infinity in a training step: one synchronisation finds out, a search names the culprit."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from torch import Tensor

from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.processes import average, largest, processes
from lightning_gantk.torch_internals import norm_bound
from lightning_gantk.training.folders import checkpoint_folder
from lightning_gantk.training.trainer import is_only_a_try, log_interval

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN

_SLOPES = "A kernel, network or loss of your own must have finite derivatives, also where samples coincide."


class Watch:
    """The tensors of one training step, put here as they come.

    Args:
        gan: The module in training, with a ``generator`` and a ``discriminator``.
        real: ``(M, ...)``.

    Attributes:
        fake: ``(N, ...)``.
        scores: Of the fakes, ``(N,)``.
        loss: The generator's.
        gradient: Of the loss in the fakes, ``(N, ...)``, as backpropagation has it (scaled, see ``gradient_norm``).
        logged: Whether loggers see this step.
        index: The number that they know it by: that of the steps before it.
    """

    def __init__(self, gan: "GAN", real: Tensor):
        self._gan, self.real = gan, real
        self.fake: Tensor | None = None
        self.scores: Tensor | None = None
        self.loss: Tensor | None = None
        self.gradient: Tensor | None = None
        self._scale = 1.0  # of the gradients; the scaler has another one after its step
        self.index = gan.global_step
        self._step, self._log_every = self.index + 1, log_interval(gan.trainer)
        self.logged = self._log_every > 0 and self._step % self._log_every == 0

    def is_due(self, every: int) -> bool:
        """Whether this is the first logged step since the last multiple of ``every``."""
        return self.logged and self._step // every > (self._step - self._log_every) // every

    def check(self) -> None:
        """Looks for a NaN or an infinity in the loss, the scores and the gradients.

        To be called between the backward pass and the optimizer's step.

        Raises:
            TrainingDiverged: If there is one. It names the step, the first bad tensor from cause to effect, and the
                checkpoint ``diverged.ckpt`` that was saved.
        """
        cheap: list[Tensor | None] = [self.loss, self.scores]
        self._scale = self._loss_scale()
        if self._scale == 1:  # else an overflow is the scaler's affair: it skips the step and lowers the scale
            cheap += [self.gradient, *(p.grad for p in self._gan.generator.parameters())]
        suspect = _may_be_bad(tensor for tensor in cheap if tensor is not None)
        if self._anywhere(suspect):
            bad = _first_bad(self._causes()) or self._failure() or self._bad_effect()
            if self._anywhere(bad is not None):
                self._stop(bad or "another process says where.")

    def gradient_norm(self) -> Tensor:
        """Mean over fakes x of ``|grad_x c(f(x))|``: what backpropagation has, without the factors that it puts in."""
        assert self.gradient is not None  # backpropagation is over
        # The loss is a mean over the fakes of this process, or a sum over those of all, of which each has a part.
        count = 1 / processes() if self._gan.discriminator.single_level else len(self.gradient)
        factor = count * self._gan.trainer.accumulate_grad_batches / self._scale
        norm = self.gradient.flatten(1).norm(dim=1).mean() * factor
        average([norm])
        return norm

    @contextmanager
    def stops(self) -> Iterator[None]:
        """Handles a discriminator that gives up."""
        try:
            yield
        except TrainingDiverged as error:
            self._stop(_first_bad(self._causes()) or str(error), error)

    def _failure(self) -> str | None:
        """What the discriminator has to say of a fit that has failed since."""
        try:
            self._gan.discriminator.check()
        except TrainingDiverged as error:
            return str(error)
        return None

    def _anywhere(self, found: bool) -> bool:
        """Whether it is so in any process: they have to stop together."""
        return bool(largest(found, self._gan.device))

    def _stop(self, what: str, cause: Exception | None = None) -> NoReturn:
        """Saves ``diverged.ckpt``, with the generator as it was before this step, and raises."""
        trainer = self._gan.trainer
        message = f"Training diverged in generator step {self._step}: {what}"
        if not is_only_a_try(trainer):
            path = checkpoint_folder(trainer) / "diverged.ckpt"
            trainer.save_checkpoint(path)
            message += f" The generator as it was before is in {path}; a run resumed from it takes the next batch."
        raise TrainingDiverged(message) from cause

    def _loss_scale(self) -> float:
        scaler = self._gan.trainer.scaler
        return 1.0 if scaler is None else scaler.get_scale()

    def _causes(self) -> Iterator[tuple[str, Tensor | None]]:
        """What the discriminator was given, and what it is."""
        generator, discriminator = self._gan.generator, self._gan.discriminator
        yield "the batch of real samples", self.real
        for name, parameter in generator.named_parameters():
            yield f"the generator's parameter {name!r}", parameter
        yield "the batch of fake samples", self.fake
        for name, parameter in discriminator.named_parameters():
            yield f"the discriminator's parameter {name!r}", parameter

    def _bad_effect(self) -> str | None:
        """What it came to. Where scores are finite and their gradient is not, whoever wrote the kernel or the network
        should look at its derivative.
        """
        gradient = _first_bad([("the gradient at the fake samples", self.gradient)])
        return (
            _first_bad(self._effects())
            or (gradient and f"{gradient} {_SLOPES}")
            or _first_bad(self._parameter_gradients())
        )

    def _effects(self) -> Iterator[tuple[str, Tensor | None]]:
        yield "the scores of the fake samples", self.scores
        yield "the generator's loss", self.loss

    def _parameter_gradients(self) -> Iterator[tuple[str, Tensor | None]]:
        for name, parameter in self._gan.generator.named_parameters():
            yield f"the gradient of the generator's parameter {name!r}", parameter.grad


def _may_be_bad(tensors: Iterable[Tensor]) -> bool:
    """Whether a NaN or an infinity is possible; cheap, and False is certain.

    The sum of squares overflows beyond 1e19 in float32, so True only asks for a closer look.
    """
    return not math.isfinite(norm_bound(tensors).item())


def _first_bad(named: Iterable[tuple[str, Tensor | None]]) -> str | None:
    for name, tensor in named:
        if tensor is not None and (bad := int((~tensor.detach().isfinite()).sum())):
            return f"{name}: {bad} of {tensor.numel()} values are NaN or infinite."
    return None
