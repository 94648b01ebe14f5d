"""How good the samples are, and the features that say so.

Names are imported on first use: torchmetrics' image metrics and torch-fidelity take seconds to import.
"""

from typing import TYPE_CHECKING

from lightning_gantk.lazy import on_first_use

if TYPE_CHECKING:
    from lightning_gantk.metrics.base import Combined, PointQuality, Quality
    from lightning_gantk.metrics.features import FeatureExtractor
    from lightning_gantk.metrics.inception import InceptionFeatures
    from lightning_gantk.metrics.lenet import LeNetFeatures
    from lightning_gantk.metrics.manifolds import Manifolds
    from lightning_gantk.metrics.mmd import MMD
    from lightning_gantk.metrics.modes import ModeCoverage
    from lightning_gantk.metrics.nearest_real import NearestReal
    from lightning_gantk.metrics.patch_network import PatchFeatures
    from lightning_gantk.metrics.quality import SampleQuality
    from lightning_gantk.metrics.sliced import SlicedWasserstein
    from lightning_gantk.metrics.torch_metric import TorchMetric
    from lightning_gantk.metrics.transport import EnergyDistance, Sinkhorn

__all__ = [
    "MMD",
    "Combined",
    "EnergyDistance",
    "FeatureExtractor",
    "InceptionFeatures",
    "LeNetFeatures",
    "Manifolds",
    "ModeCoverage",
    "NearestReal",
    "PatchFeatures",
    "PointQuality",
    "Quality",
    "SampleQuality",
    "Sinkhorn",
    "SlicedWasserstein",
    "TorchMetric",
]

_HOMES = {
    "Combined": "lightning_gantk.metrics.base",
    "EnergyDistance": "lightning_gantk.metrics.transport",
    "FeatureExtractor": "lightning_gantk.metrics.features",
    "InceptionFeatures": "lightning_gantk.metrics.inception",
    "LeNetFeatures": "lightning_gantk.metrics.lenet",
    "MMD": "lightning_gantk.metrics.mmd",
    "Manifolds": "lightning_gantk.metrics.manifolds",
    "ModeCoverage": "lightning_gantk.metrics.modes",
    "NearestReal": "lightning_gantk.metrics.nearest_real",
    "PatchFeatures": "lightning_gantk.metrics.patch_network",
    "PointQuality": "lightning_gantk.metrics.base",
    "Quality": "lightning_gantk.metrics.base",
    "SampleQuality": "lightning_gantk.metrics.quality",
    "Sinkhorn": "lightning_gantk.metrics.transport",
    "SlicedWasserstein": "lightning_gantk.metrics.sliced",
    "TorchMetric": "lightning_gantk.metrics.torch_metric",
}

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
