"""What can be said of a GAN without a run: which losses drive particles the right way, which modes are stable.

Names are imported on first use: some need JAX.
"""

from typing import TYPE_CHECKING

from lightning_gantk.lazy import on_first_use

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

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
