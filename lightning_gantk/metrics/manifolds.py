"""Whether samples are good and whether they are all: precision, recall, density and coverage."""

import torch
from torch import Tensor

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import PointQuality, in_double
from lightning_gantk.metrics.features import FeatureExtractor

_AT_ONCE = 1000  # rows of a matrix of distances


class Manifolds(PointQuality):
    r"""How samples and real ones lie in each other's neighbourhoods.

    Around each sample of one kind lies a ball that reaches to its k-th nearest of the same kind.

    - ``precision``, the share of generated samples in a ball of a real one, and ``recall``, the share of real samples
      in a ball of a generated one: quality and variety, both at most 1;
    - ``density``, the mean over generated samples of the number of real balls around each, over k, which an outlier
      among the real ones cannot raise, and may be above 1;
    - ``coverage``, the share of real balls with a generated sample in them.

    They depend on the number of samples: compare figures at the same, and with the floor, that of real against real.

    References:
        Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019.
        Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020.

    Args:
        features: The network whose features are compared; the samples themselves where none is given.
        neighbours: k.
        num_samples: Take at most so many samples of either kind, over all processes.

    Raises:
        ConfigError: If a number is too small; from ``compute``: if there are no more than k samples of a kind.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import Manifolds
        >>> quality, points = Manifolds(neighbours=2), torch.arange(8.0)[:, None]
        >>> quality.update(points, real=True)
        >>> quality.update(points + 0.1, real=False)
        >>> quality.compute()["recall"].item()
        1.0
    """

    def __init__(
        self, features: FeatureExtractor | None = None, *, neighbours: int = 5, num_samples: int | None = None
    ) -> None:
        super().__init__(num_samples=num_samples)
        whole("neighbours", neighbours)
        self.features, self.neighbours = features, neighbours

    def build(self, in_shape: tuple[int, ...]) -> None:
        if self.features is not None:
            self.features.build(in_shape)

    def update(self, samples: Tensor, *, real: bool) -> None:
        if self.features is not None and samples.isfinite().all():
            samples = self.features(samples)
        super().update(samples, real=real)

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        real, fake = in_double(real), in_double(fake)
        if min(len(real), len(fake)) <= self.neighbours:
            raise ConfigError(
                f"Neighbourhoods of {self.neighbours} need more samples than that of either kind, and there are "
                f"{len(real)} real and {len(fake)} generated: hold more out, or lower 'neighbours'."
            )
        of_real, of_fake = self._radii(real), self._radii(fake)
        around_fake = torch.zeros(len(fake), dtype=torch.float64, device=fake.device)
        recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        covered = torch.zeros_like(recalled)
        for start in range(0, len(real), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            distances = torch.cdist(real[rows], fake)
            inside = distances <= of_real[rows, None]
            around_fake += inside.sum(0)
            covered[rows] = inside.any(1)
            recalled[rows] = (distances <= of_fake).any(1)
        return {
            "precision": (around_fake > 0).double().mean(),
            "recall": recalled.double().mean(),
            "density": around_fake.mean() / self.neighbours,
            "coverage": covered.double().mean(),
        }

    def _radii(self, samples: Tensor) -> Tensor:
        """Distances ``(N,)`` to the k-th nearest other sample."""
        parts = [torch.cdist(part, samples).kthvalue(self.neighbours + 1).values for part in samples.split(_AT_ONCE)]
        return torch.cat(parts)  # the nearest of all is the sample itself
