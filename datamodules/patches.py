"""Patches of photographs: colour images without a download."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.base import DataModule
from datamodules.decoding import check_pixels, flattened
from datamodules.images import ImageTensor
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

_SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket")  # of the package itself; others of its pictures are downloaded
_SKLEARN = ("china", "flower")
_TRAINING, _HELD_OUT = range(2)  # streams of random numbers


class PatchesDataModule(DataModule):
    """Square patches of photographs, three channels, in [-1, 1], held in memory.

    Patches are cut at random places and sizes, once, by ``seed``, and resized to one size. Held-out patches come from
    the right-hand part of each photograph and training patches from the rest, or with ``tile`` from tiles all over it:
    they share no pixel. A photograph counts as much as it has places for a patch.

    Args:
        photographs: Names of photographs that come with scikit-image ("astronaut", "chelsea", "coffee", "rocket") and
            scikit-learn ("china", "flower") and need no download, or paths of your own, which are turned upright as
            their EXIF data say and put on white where they are transparent; those six where none are given.
        image_size: Pixels on a side of a sample.
        crop_sizes: Pixels on a side of a patch before it is resized; each as often as the others.
        num_samples: How many training patches.
        val_size: How many held-out patches. FID with D features wants more than D of them.
        val_part: Share of each photograph, of its width, that is held out at its right; of no effect with ``tile``.
        tile: Pixels along a side that tiles have at least. Photographs are cut into them, and one in four, spread over
            each photograph, is held out: held-out patches are then much like the others. None for no tiles.
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
        tile: int | None = None,
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
        whole("tile", tile, 4, or_none=True)
        if isinstance(photographs, str):
            raise ConfigError(f"photographs must list names or paths, such as [{photographs!r}], got {photographs!r}.")
        if isinstance(crop_sizes, int | float):
            raise ConfigError(f"crop_sizes must list sizes, such as [{crop_sizes}], got {crop_sizes!r}.")
        self.photographs = list(photographs or (*_SKIMAGE, *_SKLEARN))
        self.crop_sizes = list(crop_sizes)
        if not self.crop_sizes:
            raise ConfigError("crop_sizes must name at least one size, such as [32].")
        for size in self.crop_sizes:
            whole("crop_sizes", size, 4)
        self.image_size, self.num_samples, self.val_size = image_size, num_samples, val_size
        self.val_part, self.tile = val_part, tile

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        return (3, self.image_size, self.image_size)

    def load(self) -> tuple[ImageTensor, ImageTensor]:
        training, held_out = self.parts()
        return self._patches(training, self.num_samples, _TRAINING), self._patches(held_out, self.val_size, _HELD_OUT)

    def parts(self) -> tuple[list[Image.Image], list[Image.Image]]:
        """What training patches are cut from, and what held-out ones are.

        Raises:
            ConfigError: If a photograph cannot be had or is too small.
        """
        training, held_out = [], []
        for name in self.photographs:
            photograph = _open(name)
            parts = _sides(photograph, self.val_part) if self.tile is None else _tiles(name, photograph, self.tile)
            for part, is_held_out in parts:
                if min(part.size) < max(self.crop_sizes):
                    raise ConfigError(
                        f"a patch of {max(self.crop_sizes)} pixels does not fit into the part of photograph {name!r}"
                        f" that is {part.width} wide and {part.height} high: choose smaller crop_sizes or another"
                        f" {'val_part' if self.tile is None else 'tile'}."
                    )
                (held_out if is_held_out else training).append(part)
        return training, held_out

    def _patches(self, parts: Sequence[Image.Image], count: int, stream: int) -> ImageTensor:
        draw = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((self.seed, stream))))
        images, _ = cut(parts, count, draw, crop_sizes=self.crop_sizes, image_size=self.image_size)
        return ImageTensor(images)


def cut(
    parts: Sequence[Image.Image],
    count: int,
    draw: np.random.RandomState,
    *,
    crop_sizes: Sequence[int],
    image_size: int,
) -> tuple[Tensor, Tensor]:
    """Patches at random places.

    Args:
        parts: Photographs, or parts of them, in colour, each at least as large as the largest patch; it counts as much
            as it has places.
        count: Of patches.
        draw: Random numbers.
        crop_sizes: Pixels on a side of a patch before it is resized; each as often as the others.
        image_size: Pixels on a side afterwards.

    Returns:
        Bytes ``(count, image_size, image_size, 3)``, and the number of the part that each is from, int64 ``(count,)``.
    """
    sizes = draw.choice(crop_sizes, count)
    places = np.array([[(p.width - size + 1) * (p.height - size + 1) for p in parts] for size in crop_sizes], float)
    shares = dict(zip(crop_sizes, places / places.sum(1, keepdims=True), strict=True))
    images, numbers = np.empty((count, image_size, image_size, 3), np.uint8), np.empty(count, np.int64)
    for place, size in enumerate(sizes.tolist()):
        numbers[place] = draw.choice(len(parts), p=shares[size])
        part = parts[numbers[place]]
        left, top = (draw.randint(length - size + 1) for length in part.size)
        patch = part.crop((left, top, left + size, top + size))
        if size != image_size:
            patch = patch.resize((image_size, image_size), Image.Resampling.BICUBIC)
        images[place] = np.asarray(patch)
    return torch.from_numpy(images), torch.from_numpy(numbers)


def _sides(photograph: Image.Image, share: float) -> Iterator[tuple[Image.Image, bool]]:
    """The left-hand part, and with its share of the width the right-hand one, which is held out."""
    border = round(photograph.width * (1 - share))
    yield photograph.crop((0, 0, border, photograph.height)), False
    yield photograph.crop((border, 0, photograph.width, photograph.height)), True


def _tiles(name: str, photograph: Image.Image, side: int) -> Iterator[tuple[Image.Image, bool]]:
    """Tiles of nearly equal sizes, and whether each is held out: one in four of a row, every other row moved by two."""
    columns, rows = photograph.width // side, photograph.height // side
    if columns < 2 or rows < 1:
        raise ConfigError(
            f"photograph {name!r} is {photograph.width} wide and {photograph.height} high: two tiles of {side} pixels"
            " must fit beside each other. Choose a smaller tile."
        )
    across, down = _borders(photograph.width, columns), _borders(photograph.height, rows)
    for row, column in product(range(rows), range(columns)):
        corners = (across[column], down[row], across[column + 1], down[row + 1])
        yield photograph.crop(corners), (column + 2 * row) % 4 == 1


def _borders(length: int, parts: int) -> list[int]:
    return [round(number * length / parts) for number in range(parts + 1)]


def _open(name: str) -> Image.Image:
    """A photograph in colour, by name or path."""
    if name in _SKIMAGE:
        return _of_package("skimage.data", "scikit-image", name)
    if name in _SKLEARN:
        return _of_package("sklearn.datasets", "scikit-learn", name)
    try:
        with Image.open(Path(name).expanduser()) as file:
            check_pixels(file)
            return flattened(ImageOps.exif_transpose(file), file.format).convert("RGB")
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
