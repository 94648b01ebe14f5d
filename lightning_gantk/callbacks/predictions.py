"""Samples of a trained generator, as files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.utils import save_image

from lightning_gantk.callbacks.folders import run_folder
from lightning_gantk.callbacks.samples import enlarged, image_grid
from lightning_gantk.errors import ConfigError

_MOST_SHOWN = 100


class SavePredictions(Callback):
    """Writes what ``Trainer.predict`` samples: all to ``samples.npz``, and the first 100 images to ``samples.png``.

    The archive has ``samples``, bytes ``(n, H, W, C)`` for images and float32 ``(n, d)`` for vectors, and ``latents``.

    Args:
        num_samples: How many samples the command line draws.
        seed: Of their latents.
        folder: Where to write; where none is given, ``predictions/<checkpoint>`` in the folder of the checkpoint's run,
            or ``predictions`` in this run's.

    Raises:
        ConfigError: If ``num_samples`` is not positive.
    """

    def __init__(self, num_samples: int = 64, seed: int = 0, folder: str | None = None):
        if num_samples < 1:
            raise ConfigError(f"'num_samples' of the predictions must be at least 1, got {num_samples}.")
        self.num_samples, self.seed, self.folder = num_samples, seed, folder
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = []

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Tensor, batch: Tensor, *args: Any
    ) -> None:
        self._batches.append((outputs.float().cpu(), batch.float().cpu()))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return  # every process has sampled them all
        samples, latents = (torch.cat(parts) for parts in zip(*self._batches, strict=True))
        folder = self._folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        images = samples.ndim == 4
        if images and samples.shape[1] in (1, 3):
            save_image(enlarged(image_grid(samples[:_MOST_SHOWN])), folder / "samples.png")
        array = as_bytes(samples) if images else samples.numpy()
        np.savez_compressed(folder / "samples.npz", samples=array, latents=latents.numpy())
        print(f"{len(samples)} samples are in {folder / 'samples.npz'}.")

    def _folder(self, trainer: Trainer) -> Path:
        if self.folder is not None:
            return Path(self.folder)
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if checkpoint is not None and checkpoint.parent.name == "checkpoints":
            return checkpoint.parent.parent / "predictions" / checkpoint.stem
        return run_folder(trainer) / "predictions"


def as_bytes(images: Tensor) -> np.ndarray:
    """Images ``(n, C, H, W)`` in [-1, 1] as bytes ``(n, H, W, C)``, rounded."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()
