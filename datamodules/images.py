"""Images that fit in memory, as one tensor of bytes."""

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
    """

    def __init__(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(f"images must be uint8 of shape (N, H, W, C), not {images.dtype} {tuple(images.shape)}")
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> Tensor:
        """Gives float32 (C, H, W) for a number, (N, C, H, W) for a slice or list, in channels-last memory."""
        # Division, not a product with 1/127.5, so that 255 becomes exactly 1.
        return (self.images[index].float() / 127.5 - 1.0).movedim(-1, -3)

    def __getitems__(self, indices: list[int]) -> Tensor:
        """Gives the whole batch at once; torch's fetcher calls this instead of ``__getitem__`` where it exists."""
        return self[indices]
