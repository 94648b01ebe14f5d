"""The function that a generator starts from, g_0: latents to samples."""

import torch
from torch import Tensor, nn

from lightning_gantk.checks import number


class StartMap(nn.Module):
    """``g_0(z) = scale W z``, with the rows of W orthonormal where there are as many latent coordinates as outputs.

    Outputs are then N(0, scale^2) for latents from N(0, I), and a generator of any width can start from the same one.

    Args:
        latent_dim: Number of latent coordinates.
        outputs: Coordinates of a sample.
        scale: Standard deviation of the samples' coordinates; 0 starts with all samples at 0.
        seed: Of W, which leaves torch's global random numbers alone.

    Raises:
        ConfigError: If ``scale`` is negative.

    Examples:
        >>> import torch
        >>> from lightning_gantk.generators import StartMap
        >>> start = StartMap(latent_dim=4, outputs=2, scale=0.5)
        >>> torch.allclose(start.weight @ start.weight.T, 0.25 * torch.eye(2), atol=1e-6)
        True
    """

    weight: Tensor

    def __init__(self, latent_dim: int, outputs: int, scale: float = 1.0, seed: int = 0):
        super().__init__()
        number("start_scale", scale)
        drawn = torch.randn(outputs, latent_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        weight = torch.linalg.qr(drawn.T)[0].T if outputs <= latent_dim else drawn / latent_dim**0.5
        self.register_buffer("weight", (scale * weight).float())

    def forward(self, latent: Tensor) -> Tensor:
        return latent @ self.weight.T


def shaped(flat: Tensor, out_shape: tuple[int, ...]) -> Tensor:
    """Samples ``(N, *out_shape)`` from their coordinates ``(N, d)``, those of images in the order (H, W, C): that is
    channels-last memory with no copy.
    """
    if len(out_shape) == 1:
        return flat
    channels, height, width = out_shape
    return flat.view(-1, height, width, channels).movedim(-1, 1)
