"""Any folder of pictures."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from datamodules.endings import ENDINGS, is_picture
from datamodules.loader import permutation
from datamodules.picture_files import Pictures
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError

_CACHE = ".decoded"


class ImageFolderDataModule(Pictures):
    """All pictures in a folder and the folders below it, which may be classes.

    Files are known by their endings: avif, bmp, gif, jpeg, jpg, pgm, png, ppm, tif, tiff or webp, in small or capital
    letters. All others, and hidden files and folders, are passed over; of an animation the first frame is taken. See
    :class:`Pictures` for what becomes of a picture.

    Args:
        root: The folder.
        image_size: Pixels on a side.
        channels: 1 (grey) or 3.
        crop: Side of the central square that is cut out of each picture before it is resized; the largest that fits
            where none is given.
        batch_size: Images per batch and process.
        val_size: How many pictures are held out, drawn by ``seed``: a tenth, at most 5,000, where none is given. FID
            with D features wants more than D of them.
        skip_broken: Leave files out that cannot be read, in place of refusing the folder.
        cache_dir: Folder of the decoded images of large sets; ``<root>/.decoded`` where none is given.
        seed: Of the split.
        order_seed: Of the order of training batches; ``seed`` where none is given.
        num_workers: Worker processes per loader; 0 is fastest.
        labels: Whether batches carry the classes of their pictures: the folders right below ``root``, in alphabetical
            order, see ``class_names``.

    Raises:
        ConfigError: If an option is out of range, or (in ``setup()``) there are no pictures or they cannot be read.

    Examples:
        >>> from datamodules import ImageFolderDataModule
        >>> ImageFolderDataModule("pictures", image_size=32, channels=1, labels=True).sample_shape
        (1, 32, 32)
    """

    def __init__(
        self,
        root: str,
        *,
        image_size: int = 64,
        channels: int = 3,
        crop: int | None = None,
        batch_size: int = 64,
        val_size: int | None = None,
        skip_broken: bool = False,
        cache_dir: str | None = None,
        seed: int = 0,
        order_seed: int | None = None,
        num_workers: int = 0,
        labels: bool = False,
    ) -> None:
        super().__init__(
            image_size=image_size,
            channels=channels,
            crop=crop,
            skip_broken=skip_broken,
            cache_dir=Path(cache_dir or Path(root, _CACHE)),
            batch_size=batch_size,
            seed=seed,
            order_seed=order_seed,
            num_workers=num_workers,
            labels=labels,
        )
        whole("val_size", val_size, 2, or_none=True)  # a single image has no covariance
        self.root, self.val_size = root, val_size

    def files(self) -> list[Path]:
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"there is no folder {self.root!r}: set root to a folder of pictures.")
        found = sorted(path for path in root.rglob("*") if is_picture(path, root))
        if not found:
            raise ConfigError(
                f"there is no picture in {self.root!r} or below: no file ends in {', '.join(sorted(ENDINGS))}."
            )
        return found

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers."""
        return sorted({path.relative_to(self.root).parts[0] for path in self.files()})

    def classes_of(self, files: Sequence[Path]) -> Tensor:
        root, names = Path(self.root), self.class_names
        if loose := [path for path in files if path.parent == root]:
            raise ConfigError(
                f"labels: true takes the folders below {self.root!r} for classes, and {len(loose)} pictures lie in "
                f"none, such as {loose[0].name}: put them into folders, or set labels to false."
            )
        numbers = {name: number for number, name in enumerate(names)}
        return torch.tensor([numbers[path.relative_to(root).parts[0]] for path in files])

    def split(self, files: Sequence[Path]) -> tuple[list[int], list[int]]:
        wanted = self.val_size or max(2, min(len(files) // 10, 5000))
        if wanted >= len(files):
            raise ConfigError(f"val_size={wanted} is too many: {self.root!r} has {len(files)} pictures to split.")
        order = permutation(len(files), self.seed)
        return order[wanted:], order[:wanted]
