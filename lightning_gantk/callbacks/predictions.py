"""Samples of a trained generator, as files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.utils import save_image

from lightning_gantk import checkpoint_files
from lightning_gantk.callbacks.samples import enlarged
from lightning_gantk.checks import whole
from lightning_gantk.files import replaced
from lightning_gantk.pictures.image_grid import image_grid
from lightning_gantk.training.folders import run_folder, shown

_MOST_SHOWN = 100


class SavePredictions(Callback):
    """Writes what ``Trainer.predict`` samples: all to ``samples.npz``, and the first 100 images to ``samples.png``.

    The archive has ``samples``, bytes ``(n, H, W, C)`` for images and float32 ``(n, d)`` for vectors, and ``latents``.

    Args:
        num_samples: How many samples the command line draws.
        seed: Of their latents.
        folder: Where to write; where none is given, ``predictions/<checkpoint>-<step>`` in the folder of the
            checkpoint's run, or ``predictions`` in this run's.

    Raises:
        ConfigError: If ``num_samples`` is not positive.

    Examples:
        >>> from lightning_gantk.callbacks import SavePredictions
        >>> SavePredictions(num_samples=16, seed=1).num_samples
        16
    """

    def __init__(self, num_samples: int = 64, seed: int = 0, folder: str | None = None):
        whole("num_samples", num_samples, of="of the predictions")
        self.num_samples, self.seed, self.folder = num_samples, seed, folder
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batches.append((outputs.float().cpu(), batch.float().cpu()))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return  # every process has sampled them all
        samples, latents = (torch.cat(parts) for parts in zip(*self._batches, strict=True))
        folder = self._folder(trainer)
        images = samples.ndim == 4
        written = [folder / "samples.npz"]
        if images and samples.shape[1] in (1, 3):
            written.append(folder / "samples.png")
            with replaced(folder / "samples.png") as file:
                save_image(enlarged(image_grid(samples[:_MOST_SHOWN])), file, format="png")
        array = as_bytes(samples) if images else samples.numpy()
        with replaced(folder / "samples.npz") as file:
            np.savez_compressed(file, samples=array, latents=latents.numpy())
        print(f"{len(samples)} samples are in {' and '.join(map(shown, written))}.")

    def _folder(self, trainer: Trainer) -> Path:
        if self.folder is not None:
            return Path(self.folder)
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if checkpoint is not None and checkpoint.parent.name == "checkpoints":
            step = "" if "step" in checkpoint.stem else f"-step{checkpoint_files.read(checkpoint)['global_step']:06d}"
            return checkpoint.parent.parent / "predictions" / f"{checkpoint.stem}{step}"
        return run_folder(trainer) / "predictions"


def as_bytes(images: Tensor) -> np.ndarray:
    """Images ``(n, C, H, W)`` in [-1, 1] as bytes ``(n, H, W, C)``, rounded."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()
