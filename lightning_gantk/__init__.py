"""GANs with finite or infinitely wide (NTK) discriminators, in PyTorch Lightning.

``GAN`` is imported on first use: Lightning takes seconds.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN

__all__ = ["GAN"]


def __getattr__(name: str) -> object:
    if name != "GAN":
        raise AttributeError(f"module 'lightning_gantk' has no attribute {name!r}; it has {', '.join(__all__)}")
    from lightning_gantk.gan import GAN

    return GAN


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
