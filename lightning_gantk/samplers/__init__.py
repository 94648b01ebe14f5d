"""What may be done to samples once a generator has made them."""

from lightning_gantk.samplers.langevin import GuidedLangevin

__all__ = ["GuidedLangevin"]
