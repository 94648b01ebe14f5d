"""Networks that take Gaussian noise off samples, and so know the score of their density."""

from lightning_gantk.denoisers.denoiser import Denoiser
from lightning_gantk.denoisers.mlp import MLPDenoiser
from lightning_gantk.denoisers.unet import UNet

__all__ = ["Denoiser", "MLPDenoiser", "UNet"]
