"""What is wrong with samples that a loop of the user's own hands over: dtype, layout, range."""

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError

_BYTES = 10.0  # images with larger values are those of bytes, 0 to 255, and no standardised ones


def refuse_unfit(samples: Tensor, shape: tuple[int, ...], source: str) -> None:
    """Refuses samples ``(N, ...)`` of another shape or dtype than a generator's; looks at no value.

    Raises:
        ConfigError: Saying what to do.
    """
    refuse_shape(tuple(samples.shape[1:]), shape, source)
    if not samples.is_floating_point():
        cure = "x.float() / 127.5 - 1" if samples.dtype == torch.uint8 and len(shape) == 3 else "x.float()"
        raise ConfigError(f"Samples must be floating-point numbers, and {source} has {samples.dtype}: give {cure}.")


def refuse_shape(found: tuple[int, ...], shape: tuple[int, ...], source: str) -> None:
    """Refuses samples of another shape than a generator's, and knows images whose channels are last."""
    if found == shape:
        return
    if len(shape) == len(found) == 3 and found == (*shape[1:], shape[0]):
        raise ConfigError(
            f"{source} has images (N, H, W, C) of shape {found}, and torch's are (N, C, H, W): give "
            "x.permute(0, 3, 1, 2)."
        )
    raise ConfigError(
        f"The generator makes samples of shape {shape} and {source} has samples of shape {found}: set the generator's "
        f"out_shape to {list(found)}, or change the data."
    )


def refuse_values(samples: Tensor) -> None:
    """Refuses a batch with a NaN or an infinity, and images in 0 to 255; reads all values, for the first batch.

    Raises:
        ConfigError: Saying what to do.
    """
    if bad := int((~samples.isfinite()).sum()):
        raise ConfigError(f"The first batch of real samples has {bad} values that are NaN or infinite: mend the data.")
    if samples.ndim == 4 and (largest := float(samples.abs().max())) > _BYTES:
        raise ConfigError(
            f"Images lie in [-1, 1], and the first batch has a value of size {largest:.4g}: of bytes give "
            "x / 127.5 - 1."
        )
