"""Pictures of points while training goes on: samples, target, score, gradients; and a film of them."""

from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from datamodules.samples import parted
from lightning_gantk.callbacks.show import show
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.training.folders import run_folder
from lightning_gantk.training.trainer import is_only_a_try
from lightning_gantk.training.undisturbed import undisturbed

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN
    from lightning_gantk.pictures.fields import Limits

_MOST = 2000  # samples of either kind in a picture
_SEED = 1_602


class ScorePictures(Callback):
    """Draws samples and target with the score as background and the gradients as arrows: after the first step, at an
    interval, and at the end. In 1-D the score is a curve.

    Each picture goes to every logger that takes pictures as ``score`` and to ``pictures/step_XXXXXX.png`` in the run's
    folder. It shows a real batch, the generator's samples (all particles) and the discriminator as it was fitted last,
    and says loss and time. With ``film`` they are joined at the end into ``pictures/film.gif`` or ``.mp4``. For samples
    that are no points in 1-D or 2-D, or have classes, it does nothing.

    Args:
        every_n_steps: Generator steps from one picture to the next.
        limits: Left, right, bottom and top of all pictures; around the samples of the first where none are given.
        film: "gif", "mp4" (where there is ffmpeg), or null.
        frames_per_second: Of the film.

    Raises:
        ConfigError: If an argument is not one of those allowed.

    Examples:
        >>> from lightning_gantk.callbacks import ScorePictures
        >>> ScorePictures(every_n_steps=100, limits=[-8, 8, -8, 8], film="gif").every_n_steps
        100
    """

    def __init__(
        self,
        every_n_steps: int = 1000,
        limits: list[float] | None = None,
        film: Literal["gif", "mp4"] | None = None,
        frames_per_second: float = 10.0,
    ):
        whole("every_n_steps", every_n_steps, of="of the score pictures")
        if limits is not None and (len(limits) != 4 or limits[0] >= limits[1] or limits[2] >= limits[3]):
            raise ConfigError(f"'limits' must be left, right, bottom and top of the pictures, got {limits}.")
        if film not in (None, "gif", "mp4"):
            raise ConfigError(f"'film' must be 'gif', 'mp4' or null, got {film!r}.")
        self.every_n_steps, self.film, self.frames_per_second = every_n_steps, film, frames_per_second
        self.limits: Limits | None = None if limits is None else (limits[0], limits[1], limits[2], limits[3])
        self._begun = self._drawn = -1
        self._batch: Tensor | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._begun = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        batch, labels = parted(batch)
        if labels is not None:
            return  # a score for each class, and no single one to draw
        self._batch = batch
        step = trainer.global_step
        if step > self._begun and (step == 1 or step % self.every_n_steps == 0):
            self._draw(trainer, pl_module, batch)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._batch is not None:
            self._draw(trainer, pl_module, self._batch)
        self._batch = None
        if self.film is not None and self._drawn >= 0 and trainer.is_global_zero:
            from lightning_gantk.pictures.film import film, frames_of

            folder = run_folder(trainer)
            film(frames_of(folder), folder / "pictures" / f"film.{self.film}", frames_per_second=self.frames_per_second)

    def _draw(self, trainer: Trainer, gan: "GAN", batch: Tensor) -> None:
        step, shape = trainer.global_step, gan.generator.out_shape
        if step == self._drawn or len(shape) != 1 or shape[0] > 2 or is_only_a_try(trainer):
            return
        self._drawn = step
        if not trainer.is_global_zero:
            return
        from lightning_gantk.pictures.fields import limits_around, samples_on_score, to_numpy
        from lightning_gantk.pictures.style import pixels, save, titled

        real, fake = batch[:_MOST], self._samples(gan, batch)
        if self.limits is None and shape[0] == 2:
            self.limits = limits_around(to_numpy(real), to_numpy(fake))
        with undisturbed(gan.discriminator):
            drawn = samples_on_score(
                real, fake, gan.discriminator, limits=self.limits, title=titled(gan.discriminator, step)
            )
        show(trainer, "score", torch.from_numpy(pixels(drawn)).movedim(-1, 0) / 255, step)
        save(drawn, run_folder(trainer) / "pictures" / f"step_{step:06d}.png", dpi=150)

    @staticmethod
    def _samples(gan: "GAN", batch: Tensor) -> Tensor:
        latent = gan.generator.population()
        if latent is None:
            latent = gan.generator.fixed_latent(len(batch), _SEED)
        return gan.sample(latent[:_MOST]).to(batch)
