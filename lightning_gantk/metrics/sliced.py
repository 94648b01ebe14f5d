"""The sliced Wasserstein distance of patches, scale by scale: it sees edges and texture, and needs no weights."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.base import PointQuality, in_double

_PATCH = 7  # pixels, as in the paper
_ALONG = 11  # steps of a patch along an image: some 128 patches of each, as in the paper
_AT_ONCE = 64  # projections
_CONSTANT = 1e-9  # deviations below are rounding: such a channel keeps the unit of the samples
_BINOMIAL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64) / 16


class SlicedWasserstein(PointQuality):
    r"""``swd_32``, ``swd_16``, ...: distances of patches of 7 x 7 pixels at each level of a Laplacian pyramid, and
    ``swd``, their mean.

    A level has what the next coarser one leaves out, the last one all that is left; ``swd_32`` is that of 32 pixels.
    Fine levels see edges, texture and the grid that a generator leaves, wherever they are in the image, which distances
    of whole images hardly see; the coarsest sees colours and brightness. It is the mean over random directions of the
    Wasserstein-1 distance of the patches' projections, in units of the real patches' standard deviation in each
    channel. In float64.

    Positions are a grid, the same in each image, and both kinds of patches are scaled by the means and deviations of
    the real ones, so that contrast and colour count: the paper draws positions and scales each kind by its own.

    References:
        Karras et al., "Progressive growing of GANs for improved quality, stability, and variation", ICLR 2018, section
        5; Rabin et al., "Wasserstein barycenter and its application to texture mixing", SSVM 2011.

    Args:
        projections: Random directions, the same in each call.
        smallest: Pixels along the shorter side that the coarsest level has at least.
        num_samples: Take at most so many samples of either kind, over all processes.

    Raises:
        ConfigError: If an argument is out of range; from ``build`` and ``compute``: if samples are no images
            ``(C, H, W)`` of at least 7 pixels.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import SlicedWasserstein
        >>> quality, images = SlicedWasserstein(), torch.rand(8, 1, 32, 32)
        >>> quality.update(images, real=True)
        >>> quality.update(0.5 * images, real=False)
        >>> {name: value.item() > 0 for name, value in quality.compute().items()}
        {'swd_32': True, 'swd_16': True, 'swd': True}
    """

    def __init__(self, *, projections: int = 512, smallest: int = 16, num_samples: int | None = None) -> None:
        super().__init__(num_samples=num_samples)
        whole("projections", projections)
        whole("smallest", smallest, _PATCH)
        self.projections, self.smallest = projections, smallest

    def build(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3 or min(in_shape[1:]) < _PATCH:
            raise ConfigError(
                f"SlicedWasserstein compares patches of images (C, H, W) of at least {_PATCH} pixels, got samples of "
                f"shape {tuple(in_shape)}."
            )

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        self.build(real.shape[1:])
        pyramids = (laplacian_pyramid(in_double(images).view(images.shape), self.smallest) for images in (real, fake))
        found = {f"swd_{min(r.shape[2:])}": self._distance(r, f) for r, f in zip(*pyramids, strict=True)}
        return {**found, "swd": torch.stack(list(found.values())).mean()}

    def _distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """Of the patches of one level."""
        std, mean = torch.std_mean(real, (0, 2, 3), correction=0, keepdim=True)
        unit = torch.where(std > _CONSTANT, std, 1)
        real, fake = ((images - mean) / unit for images in (real, fake))
        directions = self.directions(real.shape[1]).to(real.device)
        found = [
            wasserstein(*(_projected(images, some) for images in (real, fake))) for some in directions.split(_AT_ONCE)
        ]
        return torch.cat(found).mean()

    def directions(self, channels: int) -> Tensor:
        """``(projections, channels, 7, 7)`` in float64, each of norm 1."""
        stream = torch.Generator().manual_seed(0)
        drawn = torch.randn(self.projections, channels, _PATCH, _PATCH, generator=stream, dtype=torch.float64)
        return drawn / drawn.flatten(1).norm(dim=1)[:, None, None, None]


def laplacian_pyramid(images: Tensor, smallest: int) -> list[Tensor]:
    """Images ``(N, C, H, W)`` by scales, finest first (Burt and Adelson, 1983): each what is lost by halving it, the
    last what is left.

    Args:
        images: The images.
        smallest: Pixels that the shorter side has at least.
    """
    levels = []
    while min(images.shape[2:]) // 2 >= smallest and not any(side % 2 for side in images.shape[2:]):
        halved = _smoothed(images)[:, :, ::2, ::2]
        spread = torch.zeros_like(images)
        spread[:, :, ::2, ::2] = halved
        levels.append(images - 4 * _smoothed(spread))
        images = halved
    return [*levels, images]


def wasserstein(first: Tensor, second: Tensor) -> Tensor:
    """Exact Wasserstein-1 distances ``(K,)`` of numbers ``(K, N)`` and ``(K, M)``: areas between their quantiles."""
    n, m = first.shape[1], second.shape[1]
    steps = [torch.arange(1, count + 1, dtype=torch.float64, device=first.device) / count for count in (n, m)]
    ends = torch.cat(steps).unique()
    widths = ends.diff(prepend=ends.new_zeros(1))
    middles = ends - widths / 2
    of_first, of_second = ((middles * count).long().clamp(max=count - 1) for count in (n, m))
    return (_sorted(first)[:, of_first] - _sorted(second)[:, of_second]).abs() @ widths


def _sorted(rows: Tensor) -> Tensor:
    """Each row in order; on the CPU numpy, whose vectorised sort takes a sixth of torch's time."""
    if rows.device.type != "cpu":
        return rows.sort(1).values
    return torch.from_numpy(np.sort(rows.numpy(), 1))


def _projected(images: Tensor, directions: Tensor) -> Tensor:
    """Patches ``(K, N x positions)`` of a regular grid along directions ``(K, C, 7, 7)``."""
    stride = [max(1, round((side - _PATCH + 1) / _ALONG)) for side in images.shape[2:]]
    return conv2d(images, directions, stride=stride).transpose(0, 1).flatten(1)


def _smoothed(images: Tensor) -> Tensor:
    """By the binomial filter of 5 pixels along each axis, mirrored at the borders."""
    channels, weights = images.shape[1], _BINOMIAL.to(images)
    images = pad(images, (2, 2, 2, 2), mode="reflect")
    for shape in ((1, 1, 5, 1), (1, 1, 1, 5)):
        images = conv2d(images, weights.view(shape).expand(channels, *[-1] * 3), groups=channels)
    return images
