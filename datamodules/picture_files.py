"""What data modules of picture files have in common."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from datamodules.base import DataModule
from datamodules.decoding import DecodedFile, Decoder, decode
from datamodules.images import ImageTensor, MappedImages
from datamodules.samples import Samples
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

_IN_MEMORY = 64 * 2**20  # bytes: some ten thousand small images, decoded in less than a minute
_NAMED = 10  # broken files that an error names


class Pictures(DataModule):
    """Pictures in files, which are decoded once. A subclass lists them in ``files``.

    Up to 64 MiB of decoded images are kept in memory, and decoded at each start. More are decoded once for all runs,
    on all cores, to a file in ``cache_dir`` that every process maps: reading a batch then costs no more than copying
    it, no worker process is needed to keep up, and pictures that cannot be read are found before training and not
    in the middle of it. It has ``image_size`` x ``image_size`` x ``channels`` bytes an image.

    Args:
        image_size: Pixels on a side.
        channels: 1 (grey) or 3.
        crop: Side of the central square that is cut out of each picture before it is resized; the largest that fits
            where none is given.
        skip_broken: Leave files out that cannot be read, in place of refusing the set.
        cache_dir: Folder of the decoded images.
        batch_size: Images per batch and process.
        seed: Of the split.
        order_seed: Of the order of training batches; ``seed`` where none is given.
        num_workers: Worker processes per loader; 0 is fastest.
        labels: Whether batches carry classes, which ``classes_of`` tells.

    Raises:
        ConfigError: If an option is out of range, or (in ``setup()``) pictures are missing or cannot be read.

    Examples:
        >>> from datamodules import CelebADataModule, ImageFolderDataModule, Pictures
        >>> issubclass(CelebADataModule, Pictures) and issubclass(ImageFolderDataModule, Pictures)
        True
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        crop: int | None,
        skip_broken: bool,
        cache_dir: Path,
        batch_size: int,
        seed: int,
        order_seed: int | None,
        num_workers: int,
        labels: bool = False,
    ) -> None:
        super().__init__(
            batch_size=batch_size, seed=seed, order_seed=order_seed, num_workers=num_workers, labels=labels
        )
        whole("image_size", image_size, 4)
        whole("crop", crop, 4, or_none=True)
        if channels not in (1, 3):
            raise ConfigError(f"channels must be 1 (grey) or 3 (colour), not {channels!r}.")
        self.image_size, self.channels, self.crop, self.skip_broken = image_size, channels, crop, skip_broken
        self.cache_dir = cache_dir

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        return (self.channels, self.image_size, self.image_size)

    @abstractmethod
    def files(self) -> list[Path]:
        """All pictures that may be used, always in the same order.

        Raises:
            ConfigError: If there are none, or some are missing.
        """

    @abstractmethod
    def split(self, files: Sequence[Path]) -> tuple[list[int], list[int]]:
        """Numbers of the training and of the held-out pictures among those that can be read.

        Raises:
            ConfigError: If there are too few.
        """

    def classes_of(self, files: Sequence[Path]) -> torch.Tensor | None:
        """The class of each file, int64 ``(N,)``; None for pictures without.

        Raises:
            ConfigError: If there are classes, and files without one.
        """
        return None

    def fetch(self) -> None:
        """Downloads what is missing; does nothing for pictures that a user has to bring."""

    def prepare_data(self) -> None:
        """Downloads and decodes what is missing. Lightning calls this in one process per machine."""
        self.fetch()
        files = self.files()
        decoded = self._decoded(files)
        if self._fits_in_memory(files) or decoded.exists:
            return
        print(f"Decoding {len(files):,} pictures, once, to {decoded.path}")
        try:
            broken = decoded.make()
        except OSError as error:
            raise ConfigError(
                f"the decoded pictures cannot be written to {str(self.cache_dir)!r} ({error}): set cache_dir to a"
                " folder that can be written to and has room."
            ) from error
        self._refuse(broken, files)

    def load(self) -> tuple[Samples, Samples]:
        files = self.files()
        if self._fits_in_memory(files):
            images = np.zeros((len(files), self.image_size, self.image_size, self.channels), np.uint8)
            broken = decode(files, self._decoder, images)
            self._refuse(broken, files)
            parts = self._parts(files, broken)
            training, held_out = (ImageTensor(torch.from_numpy(images[part])) for part in parts)
            return training, held_out
        decoded = self._decoded(files)
        if not decoded.exists:
            raise ConfigError(
                f"the pictures have not been decoded to {str(decoded.path)!r}: call prepare_data() first, as Lightning"
                " does on each machine."
            )
        broken = decoded.broken()
        self._refuse(dict.fromkeys(broken, "cannot be decoded"), files)
        training, held_out = (MappedImages(decoded.path, part) for part in self._parts(files, broken))
        return training, held_out

    @property
    def _decoder(self) -> Decoder:
        return Decoder(self.image_size, self.channels, self.crop)

    def _decoded(self, files: Sequence[Path]) -> DecodedFile:
        return DecodedFile(Path(self.cache_dir), files, self._decoder)

    def _fits_in_memory(self, files: Sequence[Path]) -> bool:
        return len(files) * self.image_size**2 * self.channels <= _IN_MEMORY

    def _parts(self, files: Sequence[Path], broken: "dict[int, str] | list[int]") -> list[np.ndarray]:
        """Rows of the training and of the held-out images."""
        left_out = set(broken)
        good = np.array([number for number in range(len(files)) if number not in left_out], dtype=np.int64)
        parts = [good[part] for part in self.split([files[number] for number in good])]
        if self.labels and (classes := self.classes_of(files)) is not None:
            self.train_labels, self.val_labels = (classes[torch.from_numpy(part)] for part in parts)
        return parts

    def _refuse(self, broken: dict[int, str], files: Sequence[Path]) -> None:
        if not broken:
            return
        named = [f"{files[number]} ({reason})" for number, reason in sorted(broken.items())[:_NAMED]]
        more = f", and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        what = f"{len(broken)} of {len(files)} pictures cannot be read: {', '.join(named)}{more}"
        if not self.skip_broken:
            raise ConfigError(f"{what}. Mend or remove them, or set skip_broken: true to leave them out.")
        print(f"{what}. They are left out.")
