"""Decoded images as bytes: in memory, or mapped from a file."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class ImageTensor(Dataset[Tensor]):
    """A set of images held as bytes, handed out as floats in [-1, 1].

    Bytes take a quarter of the memory of floats, and worker processes share them. A whole batch is gathered in one
    operation (``__getitems__``), so no worker is needed to keep up with training.

    Args:
        images: uint8, shape (N, H, W, C) with C last, values 0 to 255.

    Raises:
        ValueError: If ``images`` is no uint8 tensor of four dimensions.

    Examples:
        >>> import torch
        >>> from datamodules import ImageTensor
        >>> images = ImageTensor(torch.full((5, 4, 4, 1), 255, dtype=torch.uint8))
        >>> images[0].shape, images[0].max().item()
        (torch.Size([1, 4, 4]), 1.0)
    """

    def __init__(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(f"images must be uint8 of shape (N, H, W, C), not {images.dtype} {tuple(images.shape)}")
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> Tensor:
        """Gives float32 (C, H, W) for a number, (N, C, H, W) for a slice or list, in channels-last memory."""
        return _as_floats(self.images[index])

    def __getitems__(self, indices: list[int]) -> Tensor:
        """Gives the whole batch at once; torch's fetcher calls this instead of ``__getitem__`` where it exists."""
        return self[indices]


class MappedImages(Dataset[Tensor]):
    """Rows of a file of images, handed out as floats in [-1, 1]; the file is mapped, never read as a whole.

    What has been read stays in the system's file cache, for all processes on the machine. A worker process maps the
    file anew: only its name is sent there.

    Args:
        path: An ``.npy`` file, uint8 of shape (N, H, W, C).
        rows: Numbers of the images that belong to the set, int64 (M,).

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from datamodules import MappedImages
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "images.npy"), np.zeros((5, 4, 4, 3), np.uint8))
        ...     images = MappedImages(Path(folder, "images.npy"), rows=np.array([0, 2, 4]))
        ...     len(images), images[0].shape
        (3, torch.Size([3, 4, 4]))
    """

    def __init__(self, path: Path, rows: np.ndarray) -> None:
        self.path, self.rows = path, rows
        self._images: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | list[int]) -> Tensor:
        """Gives float32 (C, H, W) for a number, (N, C, H, W) for a slice or list, in channels-last memory."""
        images = self._images
        if images is None:
            images = self._images = np.load(self.path, mmap_mode="r")
        return _as_floats(torch.from_numpy(np.array(images[self.rows[index]])))

    def __getitems__(self, indices: list[int]) -> Tensor:
        """Gives the whole batch at once."""
        return self[indices]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_images": None}


def _as_floats(images: Tensor) -> Tensor:
    """Bytes (..., H, W, C) as floats (..., C, H, W) in [-1, 1]."""
    # Division, not a product with 1/127.5, so that 255 becomes exactly 1.
    return (images.float() / 127.5 - 1.0).movedim(-1, -3)
