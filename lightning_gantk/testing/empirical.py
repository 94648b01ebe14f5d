"""The NTK of a finite network, worked out by torch, against the kernel of its architecture: the proof of both sides."""

import numpy as np
import torch
from torch import Tensor

from lightning_gantk.architectures import Architecture
from lightning_gantk.empirical import empirical_ntk
from lightning_gantk.kernels import Kernel
from lightning_gantk.testing.jax_side import gram


def nhwc(x: Tensor) -> np.ndarray:
    """A batch of torch as JAX has it."""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).numpy()


def errors_at_two_widths(
    architecture: Architecture, shape: tuple[int, ...], kernel: Kernel | None = None
) -> tuple[float, float, float]:
    """How far the NTK of drawn networks is from the kernel.

    The error falls as 1 / sqrt(width) where both sides are the same network, and stays where they are not.

    Args:
        architecture: The description.
        shape: Of one sample; of images, networks are narrower and grow less, to take as long.
        kernel: The architecture's NTK, where there is one at hand.

    Returns:
        The relative error at a narrow width and at a wide one, and the most that the wide one may be.
    """
    torch.manual_seed(0)
    x, y = torch.randn(5, *shape), torch.randn(7, *shape)  # as many as the other claims have: one compilation
    limit = gram(kernel or architecture.kernel("ntk"), nhwc(x), nhwc(y), "float32")[:3, :4]
    x, y = x[:3], y[:4]
    narrow, growth, draws = (12, 16, 32) if _is_convolutional(architecture, shape) else (64, 16, 16)

    def error(width: int) -> float:
        """Root mean square over draws of the relative error."""
        errors = []
        for seed in range(draws if width == narrow else draws // 4):
            torch.manual_seed(seed)
            found = empirical_ntk(architecture.network(width, shape), x, y, method="jacobian").numpy()
            errors.append(np.linalg.norm(found - limit) / np.linalg.norm(limit))
        return float(np.sqrt(np.mean(np.square(errors))))

    # The Monte-Carlo error of a root mean square over D draws is below 1/sqrt(D) of it, even for squares with the heavy
    # tail of a chi-squared of one degree of freedom: three of them on each side.
    spread = (1 + 3 / np.sqrt(draws)) * (1 + 3 / np.sqrt(draws // 4))
    at_narrow, at_wide = error(narrow), error(growth * narrow)
    return at_narrow, at_wide, min(at_narrow / np.sqrt(growth) * spread, 0.25)


def _is_convolutional(architecture: Architecture, shape: tuple[int, ...]) -> bool:
    if len(shape) == 1:
        return False
    return any(getattr(p, "ndim", 0) == 4 for p in architecture.network(2, shape).parameters())
