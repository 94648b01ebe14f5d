"""Pictures of samples while training goes on."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import save_image

from lightning_gantk.callbacks.show import show
from lightning_gantk.checks import whole
from lightning_gantk.files import replaced
from lightning_gantk.pictures.image_grid import image_grid
from lightning_gantk.training.folders import run_folder
from lightning_gantk.training.trainer import is_only_a_try

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN

_SEED = 1_602
_PIXELS = 640  # least width of a grid, so that small images can be looked at


class SampleGrid(Callback):
    """Draws a grid of samples from latents that stay the same: before the first step, at an interval, and at the end.

    Each grid goes to every logger that takes pictures (see ``show``) as ``samples``, and to ``samples/step_XXXXXX.png``
    in the run's folder, small images enlarged. Below it stand the step and the FID measured last, with its own step
    where that was an earlier one (a step is validated after its grid). A generator with classes gets a row for each,
    from the same noise. For samples that are no images of 1 or 3 channels it does nothing.

    Args:
        every_n_steps: Generator steps from one grid to the next.
        num_samples: Samples in a grid; a square number fills it.

    Attributes:
        latest: The PNG file written last; None before the first.

    Raises:
        ConfigError: If a number is not positive.

    Examples:
        >>> from lightning_gantk.callbacks import SampleGrid
        >>> grid = SampleGrid(every_n_steps=250, num_samples=100)
        >>> grid.latest is None  # the path of the last picture, once there is one
        True
    """

    def __init__(self, every_n_steps: int = 100, num_samples: int = 64):
        for name, value in (("every_n_steps", every_n_steps), ("num_samples", num_samples)):
            whole(name, value, of="of the sample grid")
        self.every_n_steps, self.num_samples = every_n_steps, num_samples
        self.latest: str | None = None
        self._drawn = -1
        self._began = False
        self._measured = -1

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._measured = trainer.global_step

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._began = True
        if trainer.global_step in (0, self._drawn):  # TensorBoard has forgotten the grid of a run that is resumed here
            self._drawn = -1
            self._draw(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not self._began:  # a run that has no step left to take is resumed
            self.on_train_start(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self._drawn}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._drawn = state_dict["drawn"]

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, gan: "GAN") -> None:
        step, shape = trainer.global_step, gan.generator.out_shape
        if step == self._drawn or len(shape) != 3 or shape[0] not in (1, 3) or is_only_a_try(trainer):
            return
        self._drawn = step
        if not trainer.is_global_zero:
            return
        latent = self._latents(gan)
        grid = captioned(enlarged(image_grid(gan.sample(latent), columns=self._columns(gan))), self._told(trainer))
        show(trainer, "samples", grid, step)
        path = run_folder(trainer) / "samples" / f"step_{step:06d}.png"
        with replaced(path) as file:
            save_image(grid, file, format="png")
        self.latest = str(path)

    def _told(self, trainer: Trainer) -> str:
        """The step, and FID as it was measured last."""
        fid, step = trainer.callback_metrics.get("val/fid"), trainer.global_step
        if fid is None:
            return f"step {step:,}"
        return f"step {step:,}    FID {float(fid):.4g}" + ("" if self._measured == step else f" at {self._measured:,}")

    def _columns(self, gan: "GAN") -> int | None:
        classes = gan.generator.classes
        return None if classes is None else max(1, self.num_samples // classes)

    def _latents(self, gan: "GAN") -> Tensor:
        """Of one row for each class, with the same noise in all rows, where the generator has classes."""
        columns = self._columns(gan)
        if columns is None:
            return gan.generator.fixed_latent(self.num_samples, _SEED)
        rows = []
        for number in range(gan.generator.classes or 0):
            labels = torch.full((columns,), number)
            rows.append(gan.generator.latent_of(labels, generator=torch.Generator().manual_seed(_SEED)))
        return torch.cat(rows)


def captioned(grid: Tensor, text: str) -> Tensor:
    """A picture ``(3, h, w)`` in [0, 1] with a line of text in a white strip below it."""
    height = max(12, grid.shape[-1] // 32)
    strip = Image.new("RGB", (grid.shape[-1], 2 * height), "white")
    ImageDraw.Draw(strip).text((height // 2, height // 3), text, fill="black", font=ImageFont.load_default(height))
    drawn = torch.from_numpy(np.array(strip)).movedim(-1, 0).to(grid) / 255
    return torch.cat([grid, drawn], dim=1)


def enlarged(grid: Tensor) -> Tensor:
    """Makes every pixel of a picture ``(C, h, w)`` a square of them, as large as it takes to see it."""
    times = max(1, math.ceil(_PIXELS / grid.shape[-1]))
    return grid.repeat_interleave(times, dim=-1).repeat_interleave(times, dim=-2)
