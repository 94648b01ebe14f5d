"""Patches of photographs: colour images without a download."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datamodules.base import DataModule
from datamodules.decoding import check_pixels
from datamodules.images import ImageTensor
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

_SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket")  # of the package itself; others of its pictures are downloaded
_SKLEARN = ("china", "flower")
_TRAINING, _HELD_OUT = range(2)  # streams of random numbers


class PatchesDataModule(DataModule):
    """Square patches of photographs, three channels, in [-1, 1], held in memory.

    Patches are cut at random places and sizes, once, by ``seed``, and resized to one size. Held-out patches come from
    the right-hand part of each photograph and training patches from the rest: they share no pixel. A photograph counts
    as much as it has places for a patch.

    Args:
        photographs: Names of photographs that come with scikit-image ("astronaut", "chelsea", "coffee", "rocket") and
            scikit-learn ("china", "flower") and need no download, or paths of your own; those six where none are given.
        image_size: Pixels on a side of a sample.
        crop_sizes: Pixels on a side of a patch before it is resized; each as often as the others.
        num_samples: How many training patches.
        val_size: How many held-out patches. FID with D features wants more than D of them.
        val_part: Share of each photograph, of its width, that is held out.
        batch_size: Patches per batch and process.
        seed: Of the patches.
        order_seed: Of the order of training batches; ``seed`` where none is given.
        num_workers: Worker processes per loader; the data are in memory, so 0 is fastest.

    Raises:
        ConfigError: If an option is out of range, or (in ``setup()``) a photograph cannot be had or is too small.

    Examples:
        >>> from datamodules import PatchesDataModule
        >>> PatchesDataModule(["china", "flower"], image_size=32, num_samples=1000).sample_shape
        (3, 32, 32)
    """

    def __init__(
        self,
        photographs: Sequence[str] | None = None,
        *,
        image_size: int = 32,
        crop_sizes: Sequence[int] = (32, 64),
        num_samples: int = 20_000,
        val_size: int = 1000,
        val_part: float = 0.25,
        batch_size: int = 64,
        seed: int = 0,
        order_seed: int | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed, order_seed=order_seed, num_workers=num_workers)
        whole("image_size", image_size, 4)
        whole("num_samples", num_samples)
        whole("val_size", val_size, 2)  # a single image has no covariance
        if not 0 < val_part < 1:
            raise ConfigError(f"val_part must lie between 0 and 1, not {val_part!r}.")
        self.photographs = list(photographs or (*_SKIMAGE, *_SKLEARN))
        self.crop_sizes = list(crop_sizes)
        if not self.crop_sizes:
            raise ConfigError("crop_sizes must name at least one size, such as [32].")
        for size in self.crop_sizes:
            whole("crop_sizes", size, 4)
        self.image_size, self.num_samples, self.val_size, self.val_part = image_size, num_samples, val_size, val_part

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        return (3, self.image_size, self.image_size)

    def load(self) -> tuple[ImageTensor, ImageTensor]:
        parts: tuple[list[Image.Image], list[Image.Image]] = ([], [])
        for name in self.photographs:
            photograph = _open(name)
            border = round(photograph.width * (1 - self.val_part))
            for part, (left, right) in zip(parts, ((0, border), (border, photograph.width)), strict=True):
                if min(right - left, photograph.height) < max(self.crop_sizes):
                    raise ConfigError(
                        f"a patch of {max(self.crop_sizes)} pixels does not fit into the part of photograph {name!r}"
                        f" that is {right - left} wide and {photograph.height} high: choose smaller crop_sizes or"
                        " another val_part."
                    )
                part.append(photograph.crop((left, 0, right, photograph.height)))
        training, held_out = parts
        return self._patches(training, self.num_samples, _TRAINING), self._patches(held_out, self.val_size, _HELD_OUT)

    def _patches(self, photographs: list[Image.Image], count: int, stream: int) -> ImageTensor:
        draw = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((self.seed, stream))))
        sizes = draw.choice(self.crop_sizes, count)
        places = np.array(
            [[(p.width - size + 1) * (p.height - size + 1) for p in photographs] for size in self.crop_sizes],
            dtype=float,
        )
        shares = dict(zip(self.crop_sizes, places / places.sum(1, keepdims=True), strict=True))
        images = np.empty((count, self.image_size, self.image_size, 3), np.uint8)
        for number, size in enumerate(sizes.tolist()):
            photograph = photographs[draw.choice(len(photographs), p=shares[size])]
            left, top = (draw.randint(length - size + 1) for length in photograph.size)
            patch = photograph.crop((left, top, left + size, top + size))
            if size != self.image_size:
                patch = patch.resize((self.image_size, self.image_size), Image.Resampling.BICUBIC)
            images[number] = np.asarray(patch)
        return ImageTensor(torch.from_numpy(images))


def _open(name: str) -> Image.Image:
    """A photograph in colour, by name or path."""
    if name in _SKIMAGE:
        return _of_package("skimage.data", "scikit-image", name)
    if name in _SKLEARN:
        return _of_package("sklearn.datasets", "scikit-learn", name)
    try:
        with Image.open(Path(name)) as file:
            check_pixels(file)
            return file.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        known = ", ".join((*_SKIMAGE, *_SKLEARN))
        raise ConfigError(f"photograph {name!r} cannot be read ({error}): name a file, or one of {known}.") from error


def _of_package(module: str, package: str, name: str) -> Image.Image:
    try:
        source = import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"photograph {name!r} comes with the package {package}, which is not installed: pip install {package}, or"
            " name other photographs."
        ) from error
    load = getattr(source, name, None) or partial(source.load_sample_image, f"{name}.jpg")
    return Image.fromarray(np.asarray(load())).convert("RGB")
