"""Pictures of samples while training goes on."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid, save_image

from lightning_gantk.callbacks.folders import run_folder
from lightning_gantk.errors import ConfigError

_SEED = 1_602
_PIXELS = 640  # least width of a grid, so that small images can be looked at


class SampleGrid(Callback):
    """Draws a grid of samples from latents that stay the same: before the first step, at an interval, and at the end.

    Each grid goes to TensorBoard as ``samples`` and to ``samples/step_XXXXXX.png`` in the run's folder, small images
    enlarged. For samples that are no images of 1 or 3 channels it does nothing.

    Args:
        every_n_steps: Generator steps from one grid to the next.
        num_samples: Samples in a grid; a square number fills it.

    Attributes:
        latest: The PNG file written last; None before the first.

    Raises:
        ConfigError: If a number is not positive.
    """

    def __init__(self, every_n_steps: int = 100, num_samples: int = 64):
        for name, value in (("every_n_steps", every_n_steps), ("num_samples", num_samples)):
            if value < 1:
                raise ConfigError(f"'{name}' of the sample grid must be at least 1, got {value}.")
        self.every_n_steps, self.num_samples = every_n_steps, num_samples
        self.latest: str | None = None
        self._drawn = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            self._draw(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, gan: LightningModule) -> None:
        step, shape = trainer.global_step, gan.generator.out_shape
        if step == self._drawn or len(shape) != 3 or shape[0] not in (1, 3) or trainer.fast_dev_run:
            return
        self._drawn = step
        if not trainer.is_global_zero:
            return
        latent = gan.generator.latent(self.num_samples, generator=torch.Generator().manual_seed(_SEED))
        grid = enlarged(image_grid(gan.sample(latent)))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", grid, step)
        folder = run_folder(trainer) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        self.latest = str(folder / f"step_{step:06d}.png")
        save_image(grid, self.latest)


def image_grid(images: Tensor) -> Tensor:
    """Lays images ``(n, C, H, W)`` in [-1, 1] out in a square: ``(3, h, w)`` in [0, 1], on the CPU."""
    columns = math.ceil(math.sqrt(len(images)))
    return make_grid(images.detach().float().cpu(), nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1.0)


def enlarged(grid: Tensor) -> Tensor:
    """Makes every pixel of a picture ``(C, h, w)`` a square of them, as large as it takes to see it."""
    times = max(1, math.ceil(_PIXELS / grid.shape[-1]))
    return grid.repeat_interleave(times, dim=-1).repeat_interleave(times, dim=-2)
