"""Many images as one."""

import math

from torch import Tensor
from torchvision.utils import make_grid


def image_grid(images: Tensor, *, columns: int | None = None) -> Tensor:
    """Lays images ``(n, C, H, W)`` in [-1, 1] out in rows: ``(3, h, w)`` in [0, 1], on the CPU.

    Args:
        images: They.
        columns: Images in a row; a square where none is given.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    return make_grid(images.detach().float().cpu(), nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1.0)
