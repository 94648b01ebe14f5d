"""Any image metric of torchmetrics as a measure of quality."""

import inspect
import re
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import Quality, refuse_nan

_FEWEST = 2  # generated samples


class TorchMetric(Quality):
    """A metric of torchmetrics, such as ``InceptionScore``, ``MemorizationInformedFrechetInceptionDistance`` or
    ``LearnedPerceptualImagePatchSimilarity``.

    What its ``update`` takes decides how it is fed: images and ``real=``, of either kind; images alone, generated ones;
    two sets of images, pairs of generated ones, whose similarity is then their (lack of) diversity. The floor that
    validation logs is that of real images in the place of generated ones.

    Args:
        metric: The metric, constructed.
        name: Of the value; that of its class where none is given: ``inception_score``. A second value is that name with
            ``_std``.
        images: What it takes: "bytes", 0 to 255; "unit", [0, 1]; "signed", [-1, 1]; "auto" goes by its ``normalize``,
            which means [0, 1] in torchmetrics, and without it bytes, or [-1, 1] for pairs.
        colour: Repeat grey images to three channels.

    Raises:
        ConfigError: If it is no metric of images.

    Examples:
        >>> import torch
        >>> from torchmetrics.image import StructuralSimilarityIndexMeasure
        >>> from lightning_gantk.metrics import TorchMetric
        >>> TorchMetric(StructuralSimilarityIndexMeasure(data_range=2.0), name="alike").name
        'alike'
    """

    def __init__(
        self,
        metric: Metric,
        *,
        name: str | None = None,
        images: Literal["auto", "bytes", "unit", "signed"] = "auto",
        colour: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(metric, Metric):
            raise ConfigError(f"'metric' must be a metric of torchmetrics, got {metric!r}.")
        if images not in ("auto", "bytes", "unit", "signed"):
            raise ConfigError(f"'images' must be 'auto', 'bytes', 'unit' or 'signed', got {images!r}.")
        taken = [one for one in inspect.signature(metric.update).parameters if one not in ("args", "kwargs")]
        self._tells_real, self._pairs = "real" in taken, len(taken) == 2 and "real" not in taken
        if not self._tells_real and len(taken) not in (1, 2):
            raise ConfigError(
                f"{type(metric).__name__} takes {', '.join(taken)} and not images: derive a measure of "
                "lightning_gantk.metrics.PointQuality from it."
            )
        if self._tells_real and not hasattr(metric, "reset_real_features"):
            raise ConfigError(
                f"{type(metric).__name__} cannot forget fakes and keep reals, having no 'reset_real_features': derive "
                "a measure of lightning_gantk.metrics.PointQuality from it."
            )
        if images == "auto":
            images = "unit" if getattr(metric, "normalize", False) else "signed" if self._pairs else "bytes"
        self.name = name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(metric).__name__).lower()
        self.images, self.colour = images, colour
        self._metric = (metric,)  # outside the module tree: no part of checkpoints
        self._given = {True: 0, False: 0}  # samples, by `real`

    @property
    def has_real(self) -> bool:
        return self._given[True] > 0

    def update(self, samples: Tensor, *, real: bool) -> None:
        (metric,) = self._metric
        refuse_nan(samples, real=real)
        self._given[real] += len(samples)
        if real and not self._tells_real:
            return
        images = self._as_taken(samples)
        # What it gives must not depend on the precision of training.
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(samples.device.type, enabled=False):
            metric.to(samples.device)
            if self._tells_real:
                metric.update(images, real=real)
            elif self._pairs:
                half = len(images) // 2
                if half:
                    metric.update(images[:half], images[half : 2 * half])
            else:
                metric.update(images)

    def compute(self) -> dict[str, Tensor]:
        (metric,) = self._metric
        if self._given[False] < _FEWEST or (self._tells_real and not self.has_real):
            raise RuntimeError(f"{type(metric).__name__} needs real and generated samples; give both to update().")
        with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # for those that draw subsets
            return self._named(metric.compute())

    def reset(self, *, real: bool = False) -> None:
        (metric,) = self._metric
        if self._tells_real:
            metric.reset_real_features = real
        with torch.inference_mode(False):
            metric.reset()
        self._given = {True: 0 if real else self._given[True], False: 0}

    def _as_taken(self, samples: Tensor) -> Tensor:
        if samples.ndim != 4:
            (metric,) = self._metric
            raise ConfigError(
                f"{type(metric).__name__} takes images (N, C, H, W), not samples {tuple(samples.shape[1:])}."
            )
        samples = samples.float().clamp(-1, 1)
        if self.colour and samples.shape[1] == 1:
            samples = samples.expand(-1, 3, -1, -1)
        if self.images == "signed":
            return samples
        unit = (samples + 1) / 2
        return unit if self.images == "unit" else (255 * unit).round().to(torch.uint8)

    def _named(self, found: Any) -> dict[str, Tensor]:
        if isinstance(found, dict):
            return {f"{self.name}_{key}": value for key, value in found.items()}
        values = found if isinstance(found, tuple | list) else (found,)
        return {f"{self.name}{ending}": value for ending, value in zip(("", "_std"), values, strict=False)}
