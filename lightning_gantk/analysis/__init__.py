"""What can be said of a GAN without a run: which losses drive particles the right way, which modes are stable.

Names are imported on first use: some need JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_gantk.analysis.modes import LinearModes, linear_modes
    from lightning_gantk.analysis.monotone import is_monotone
    from lightning_gantk.analysis.second_moments import SecondMomentModel

__all__ = ["LinearModes", "SecondMomentModel", "is_monotone", "linear_modes"]

_HOMES = {
    "LinearModes": "lightning_gantk.analysis.modes",
    "SecondMomentModel": "lightning_gantk.analysis.second_moments",
    "is_monotone": "lightning_gantk.analysis.monotone",
    "linear_modes": "lightning_gantk.analysis.modes",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'lightning_gantk.analysis' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
