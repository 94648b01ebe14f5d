"""CelebA: 202,599 photographs of faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from datamodules.loader import permutation
from datamodules.picture_files import Pictures
from lightning_gantk.checks import whole
from lightning_gantk.downloads import fetch_from_drive
from lightning_gantk.errors import ConfigError

_TRAINING, _VALIDATION = 0, 1  # in list_eval_partition.txt; 2 is for testing, and not used
_T = TypeVar("_T")
_LARGEST = {".zip": 1_500_000_000, ".txt": 30_000_000}  # bytes; the largest have 1,443,490,838 and 26,721,026
_PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


class CelebADataModule(Pictures):
    """The aligned and cropped faces of CelebA, in [-1, 1], with its own split.

    Trains on the 162,770 training pictures and holds out ``val_size`` of the 19,867 for validation, drawn by ``seed``.
    On disk they are as torchvision has them, in ``<root>/celeba``: the folder ``img_align_celeba`` of pictures and the
    texts ``list_eval_partition.txt``, ``list_attr_celeba.txt``, ``identity_CelebA.txt``, ``list_bbox_celeba.txt`` and
    ``list_landmarks_align_celeba.txt``. What is missing is downloaded (1.4 GB, from Google Drive, which needs the
    package gdown) and checked by torchvision. See :class:`Pictures` for how pictures are decoded.

    References:
        Liu, Luo, Wang and Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.

    Args:
        root: Folder of the downloaded data.
        image_size: Pixels on a side, usually 32 or 64.
        crop: Side of the central square of the 178 x 218 pictures that is resized: 178 is all the width; 148 is the
            face with less of the background.
        batch_size: Images per batch and process.
        val_size: How many pictures are held out. FID with D features wants more than D of them.
        subset_size: Train on this many pictures only, drawn by ``seed``; all where none is given.
        skip_broken: Leave files out that cannot be read, in place of refusing the set.
        cache_dir: Folder of the decoded images; ``<root>/celeba/decoded`` where none is given. They take 0.6 GB at 32
            pixels and 2.2 GB at 64.
        seed: Of the choice of held-out pictures and of the subset.
        order_seed: Of the order of training batches; ``seed`` where none is given.
        num_workers: Worker processes per loader; 0 is fastest.
        download: Whether a missing CelebA is downloaded.

    Raises:
        ConfigError: If an option is out of range, the data are missing and cannot be had, or they cannot be read.

    Examples:
        >>> from datamodules import CelebADataModule
        >>> CelebADataModule("data", image_size=64, batch_size=32).sample_shape  # files are looked for in setup()
        (3, 64, 64)
    """

    def __init__(
        self,
        root: str = "data",
        *,
        image_size: int = 64,
        crop: int = 178,
        batch_size: int = 64,
        val_size: int = 5000,
        subset_size: int | None = None,
        skip_broken: bool = False,
        cache_dir: str | None = None,
        seed: int = 0,
        order_seed: int | None = None,
        num_workers: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(
            image_size=image_size,
            channels=3,
            crop=crop,
            skip_broken=skip_broken,
            cache_dir=Path(cache_dir or Path(root, datasets.CelebA.base_folder, "decoded")),
            batch_size=batch_size,
            seed=seed,
            order_seed=order_seed,
            num_workers=num_workers,
        )
        whole("val_size", val_size, 2)  # a single image has no covariance
        if crop is None or crop > 178:
            raise ConfigError(f"crop must be at most 178, the width of CelebA's pictures, not {crop!r}.")
        whole("subset_size", subset_size, or_none=True)
        self.root, self.val_size, self.subset_size, self.download = root, val_size, subset_size, download
        self._partition: dict[str, int] | None = None

    def fetch(self) -> None:
        if not self.download or self._is_on_disk():
            return
        try:
            for key, checksum, name in datasets.CelebA.file_list:
                path = self._folder / name
                unpacked = path.suffix == ".zip" and (self._folder / "img_align_celeba").is_dir()
                if not unpacked and not check_integrity(str(path), checksum):
                    fetch_from_drive(key, path, largest=_LARGEST[path.suffix], checksum=f"md5:{checksum}")
            datasets.CelebA(self.root, download=True)  # finds the files there, and unpacks them
        except Exception as error:  # gdown has errors of its own, which need not be importable here
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise ConfigError(
                f"no CelebA under {self.root!r} and the download failed ({reason}): with a network and pip install"
                f" gdown run again; or put img_align_celeba and the list_*.txt files from {_PAGE} into"
                f" {str(self._folder)!r}; or train on a folder of pictures, with datamodules.ImageFolderDataModule."
            ) from error

    def files(self) -> list[Path]:
        names = self._names()
        folder = self._folder / "img_align_celeba"
        there = {path.name for path in folder.iterdir()}
        missing = [name for name in names if name not in there]
        if missing:
            raise ConfigError(
                f"{len(missing)} of {len(names)} pictures are missing from {str(folder)!r}, such as {missing[0]}:"
                " delete the folder and unpack img_align_celeba.zip again."
            )
        return [folder / name for name in names]

    def split(self, files: Sequence[Path]) -> tuple[list[int], list[int]]:
        names = self._names()
        training = [number for number, path in enumerate(files) if names[path.name] == _TRAINING]
        held_out = [number for number, path in enumerate(files) if names[path.name] == _VALIDATION]
        if self.subset_size is not None:  # these are the held-out ones already, but for broken files
            return training, [held_out[number] for number in permutation(len(held_out), self.seed)]
        return training, self._held_out(held_out)

    @property
    def _folder(self) -> Path:
        return Path(self.root, datasets.CelebA.base_folder)

    def _is_on_disk(self) -> bool:
        texts = [name for _, _, name in datasets.CelebA.file_list if name.endswith(".txt")]
        return (self._folder / "img_align_celeba").is_dir() and all((self._folder / name).is_file() for name in texts)

    def _names(self) -> dict[str, int]:
        """The files for training and validation, those of the subset alone, and which of the two they are for."""
        if self._partition is not None:
            return self._partition
        if not self._is_on_disk():
            raise ConfigError(
                f"no CelebA under {self.root!r}: set download: true (prepare_data() then fetches it, Lightning calls"
                f" that), or put img_align_celeba and the list_*.txt files from {_PAGE} into {str(self._folder)!r}."
            )
        for _, checksum, name in datasets.CelebA.file_list:
            if name.endswith(".txt") and not check_integrity(str(self._folder / name), checksum):
                raise ConfigError(
                    f"{str(self._folder / name)!r} is damaged: its MD5 sum is not {checksum}. Delete it, and it is"
                    " downloaded again."
                )
        lines = (self._folder / "list_eval_partition.txt").read_text().split("\n")
        found = dict(line.split() for line in lines if line.strip())
        parts = {part: [name for name in found if int(found[name]) == part] for part in (_TRAINING, _VALIDATION)}
        if self.subset_size is not None:  # no more is decoded than is used
            parts = {_TRAINING: self._subset(parts[_TRAINING]), _VALIDATION: self._held_out(parts[_VALIDATION])}
        self._partition = {name: part for part in parts for name in sorted(parts[part])}
        return self._partition

    def _subset(self, training: list[str]) -> list[str]:
        if self.subset_size is not None and self.subset_size > len(training):
            raise ConfigError(
                f"subset_size={self.subset_size} is larger than the training set of {len(training)} pictures."
            )
        return [training[number] for number in permutation(len(training), self.seed)[: self.subset_size]]

    def _held_out(self, candidates: "list[_T]") -> "list[_T]":
        """``val_size`` of the candidates, drawn by the seed."""
        if self.val_size > len(candidates):
            raise ConfigError(f"val_size={self.val_size} is too many: CelebA can hold out {len(candidates)} pictures.")
        return [candidates[number] for number in permutation(len(candidates), self.seed)[: self.val_size]]
