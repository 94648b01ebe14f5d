"""Discriminators: one contract, finite or infinitely wide."""

from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.discriminators.denoiser_score import DenoiserScore
from lightning_gantk.discriminators.exact_ratio import ExactRatio
from lightning_gantk.discriminators.finite import FiniteDiscriminator
from lightning_gantk.discriminators.initial import InitialFunction
from lightning_gantk.discriminators.kde_score import KDEScore
from lightning_gantk.discriminators.linearized import LinearizedDiscriminator
from lightning_gantk.discriminators.moments import MomentEmbedding
from lightning_gantk.discriminators.noise_injected import NoiseInjected
from lightning_gantk.discriminators.normalized import Normalized
from lightning_gantk.discriminators.ntk import NTKDiscriminator
from lightning_gantk.discriminators.private import PrivateMeanEmbedding
from lightning_gantk.discriminators.single_level import SingleLevelNTK
from lightning_gantk.discriminators.wrapper import Wrapper

__all__ = [
    "DenoiserScore",
    "Discriminator",
    "ExactRatio",
    "FiniteDiscriminator",
    "InitialFunction",
    "KDEScore",
    "LinearizedDiscriminator",
    "MomentEmbedding",
    "NTKDiscriminator",
    "NoiseInjected",
    "Normalized",
    "PrivateMeanEmbedding",
    "SingleLevelNTK",
    "Wrapper",
]
