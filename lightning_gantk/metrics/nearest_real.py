"""How evenly samples are spread over given real ones, by angles."""

import math

import torch
from torch import Tensor, nn

from lightning_gantk.metrics.base import PointQuality, in_double


class NearestReal(PointQuality):
    r"""Which of the real samples are found, when they are few and each is to be found by a generated one.

    Each generated sample belongs to the real one of the smallest angle. Values, of M real samples:

    - ``missing_entropy``: log M minus the entropy of the shares of generated samples that belong to each real one: 0
      where all have the same share, log M where all samples belong to one;
    - ``reals_found``: how many real samples have any;
    - ``nearest_cosine_distance``: the mean over generated samples of one minus the cosine to their real one.

    Angles, not distances: a cloud that has collapsed in many dimensions keeps the spread it started with. These are the
    measures of Durr, Mroueh, Tu and Wang, PRX 2023, in the code that they published.

    Args:
        num_samples: Take at most so many samples of either kind, over all processes.

    Raises:
        ConfigError: If ``num_samples`` is not positive.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import NearestReal
        >>> quality = NearestReal()
        >>> quality.update(torch.eye(2), real=True)
        >>> quality.update(torch.tensor([[3.0, 0.0], [2.0, 0.0]]), real=False)
        >>> quality.compute()["reals_found"].item()
        1.0
    """

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        cosines = nn.functional.normalize(in_double(fake)) @ nn.functional.normalize(in_double(real)).T
        nearest, owner = cosines.max(dim=1)
        shares = torch.bincount(owner, minlength=len(real)).double() / len(fake)
        entropy = -torch.xlogy(shares, shares).sum()
        return {
            "missing_entropy": math.log(len(real)) - entropy,
            "reals_found": (shares > 0).sum().double(),
            "nearest_cosine_distance": (1 - nearest).mean(),
        }
