"""What networks share that take a number beside each sample: a time, or a level of noise."""

from lightning_gantk.timed.fourier_time import FourierTime

__all__ = ["FourierTime"]
