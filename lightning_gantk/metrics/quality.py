"""FID and KID of generated samples, from one pass through the feature extractor."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lightning_gantk.checks import whole
from lightning_gantk.errors import Advice
from lightning_gantk.metrics.base import Quality, own_share, refuse_nan
from lightning_gantk.metrics.features import FeatureExtractor
from lightning_gantk.processes import gathered, processes

if TYPE_CHECKING:
    from torchmetrics import Metric


class SampleQuality(Quality):
    r"""Distances between real and generated images, in the features of a fixed network.

    - ``fid``, the Fréchet distance of the Gaussians with the features' means and covariances,
      :math:`|\mu_r - \mu_g|^2 + \mathrm{tr}(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2})`;
    - ``kid``, the unbiased squared MMD with kernel :math:`(1 + f \cdot g / D)^3`, averaged over random subsets.

    torchmetrics computes both, in float64, and adds up over processes. Real images are given once and kept:
    ``reset()`` forgets the generated ones alone. Nothing of this module goes into checkpoints: real statistics are
    cheap to collect again, and the same again.

    References:
        Heusel et al., NeurIPS 2017 (FID). Binkowski et al., "Demystifying MMD GANs", ICLR 2018 (KID).

    Args:
        features: The network whose features are compared.
        num_samples: Take at most so many images of either kind, over all processes; all where none is given.
        kid_subset_size: Images of either kind in a subset of KID; fewer where there are fewer.
        kid_subsets: How many subsets KID averages over; one where a subset holds everything.

    Raises:
        ConfigError: If a number is too small.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import LeNetFeatures, SampleQuality
        >>> quality = SampleQuality(LeNetFeatures())
        >>> quality.update(torch.rand(4, 1, 28, 28), real=True)
        >>> quality.has_real
        True
    """

    def __init__(
        self,
        features: FeatureExtractor,
        *,
        num_samples: int | None = None,
        kid_subset_size: int = 1000,
        kid_subsets: int = 100,
    ) -> None:
        super().__init__()
        whole("num_samples", num_samples, 2, or_none=True)
        whole("kid_subset_size", kid_subset_size, 2)
        whole("kid_subsets", kid_subsets)
        self.features = features
        self.num_samples = num_samples
        self.kid_subset_size = kid_subset_size
        self.kid_subsets = kid_subsets
        self._seen = {True: 0, False: 0}  # images of this process, by `real`
        self._warned = False
        # In a dictionary, and so outside the module tree: a cast of the model must not touch float64 sums.
        self._metrics = _metrics(features.num_features)

    @property
    def has_real(self) -> bool:
        """Whether real images have been given."""
        return self._seen[True] > 0

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Checks that images (C, H, W) fit and loads the extractor, so that errors come before training."""
        self.features.build(in_shape)

    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: Float images (N, C, H, W) in [-1, 1].
            real: Whether they are real or generated.

        Raises:
            TrainingDiverged: If an image holds a NaN or an infinity.
        """
        if self.num_samples is not None:
            samples = samples[: own_share(self.num_samples, self._seen[real])]
        if len(samples) == 0:
            return
        refuse_nan(samples, real=real)
        with _outside_inference_mode():
            features = self.features(samples)
            if features.device.type == "mps":  # Apple's GPUs have no float64
                features = features.cpu()
            features = features.double()
            for metric in self._metrics.values():
                if metric.device != features.device:
                    metric.to(features.device)
                metric.update(features, real=real)
        self._seen[real] += len(samples)

    def compute(self) -> dict[str, Tensor]:
        """Gives ``{"fid": ..., "kid": ...}``, float64 scalars, over the images of all processes.

        In a distributed run every process must call it, after as many updates as the others.

        Raises:
            RuntimeError: If there are fewer than two real or two generated images.
        """
        seen = self._seen_by_all()
        if min(seen.values()) < 2:
            raise RuntimeError(f"FID and KID need two images of a kind: {seen[True]} real, {seen[False]} generated.")
        self._warn_of_few(min(seen.values()))
        fid, kid = self._metrics["fid"], self._metrics["kid"]
        kid.subset_size = min(self.kid_subset_size, *seen.values())
        kid.subsets = 1 if seen[True] == seen[False] == kid.subset_size else self.kid_subsets
        with _outside_inference_mode(), torch.random.fork_rng(devices=[]):
            # KID draws its subsets from torch's global stream: from a fixed one, so that training does not notice
            torch.default_generator.manual_seed(0)
            return {"fid": fid.compute(), "kid": kid.compute()[0]}

    def reset(self, *, real: bool = False) -> None:
        """Forgets the generated images; with ``real=True`` the real ones too."""
        with _outside_inference_mode():
            for metric in self._metrics.values():
                metric.reset_real_features = real
                metric.reset()
        self._seen = {True: 0 if real else self._seen[True], False: 0}

    def _seen_by_all(self) -> dict[bool, int]:
        if processes() == 1:
            return self._seen
        device = self._metrics["fid"].device
        numbers = gathered(torch.tensor([[self._seen[True], self._seen[False]]], device=device)).sum(0)
        return {True: int(numbers[0]), False: int(numbers[1])}

    def _warn_of_few(self, samples: int) -> None:
        dimensions = self.features.num_features
        if samples > dimensions or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"FID from {samples} images with {dimensions} features: below {dimensions + 1} images the covariance is"
            " singular and FID far too large. Compare such figures at the same number of images only, hold out more"
            " (the data's val_size), or choose an extractor with fewer features.",
            Advice,
            stacklevel=3,
        )


def _metrics(num_features: int) -> "dict[str, Metric]":
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    # They are given features in the place of images, and as extractor a network that hands on what it gets.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all extracted features")
        return {
            "fid": FrechetInceptionDistance(_HandOn(num_features), reset_real_features=False),
            "kid": KernelInceptionDistance(_HandOn(num_features), reset_real_features=False),
        }


class _HandOn(nn.Identity):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features  # torchmetrics sizes the covariance by it


@contextmanager
def _outside_inference_mode() -> Iterator[None]:
    """For sums that outlive the call: made under inference mode they could not be added to outside of it."""
    with torch.inference_mode(False), torch.no_grad():
        yield
