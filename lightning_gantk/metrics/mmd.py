"""The maximum mean discrepancy under the kernels of this package."""

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from lightning_gantk.architectures import Architecture
from lightning_gantk.losses import IPM
from lightning_gantk.metrics.base import PointQuality

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class MMD(PointQuality):
    r"""``mmd``, the maximum mean discrepancy :math:`|E\,k(x, \cdot) - E\,k(y, \cdot)|` in the kernel's space.

    Its square is ``E k(x, x') + E k(y, y') - 2 E k(x, y)`` with pairs of a sample with itself included, so that equal
    sets are at 0. It is the objective of an infinitely wide IPM discriminator at time 1, and computed as that.

    References:
        Gretton et al., "A kernel two-sample test", JMLR 2012.

    Args:
        kernel: A kernel, or an architecture, of which the kernel is taken.
        kind: "ntk" or "nngp", of an architecture.
        dtype: "float64", or "float32" for speed: its rounding leaves 1e-4 of the kernel's scale or so.
        num_samples: Take at most so many samples of either kind, over all processes.
        name: What the value is called, where several are measured.

    Raises:
        ConfigError: If an argument is not one of those allowed, or JAX cannot be used.

    Examples:
        >>> import torch
        >>> from lightning_gantk import RBF
        >>> from lightning_gantk.metrics import MMD
        >>> quality = MMD(RBF(gamma=0.5))
        >>> quality.update(torch.zeros(2, 1), real=True)
        >>> quality.update(torch.ones(2, 1), real=False)
        >>> round(quality.compute()["mmd"].item() ** 2, 4)  # 2 - 2 exp(-1/2)
        0.7869
    """

    def __init__(
        self,
        kernel: "Architecture | Kernel",
        *,
        kind: Literal["ntk", "nngp"] = "ntk",
        dtype: Literal["float32", "float64"] = "float64",
        num_samples: int | None = None,
        name: str = "mmd",
    ) -> None:
        super().__init__(num_samples=num_samples)
        from lightning_gantk.discriminators.ntk import NTKDiscriminator

        self.name = name
        self._witness = NTKDiscriminator(kernel, IPM(), time=1.0, kind=kind, dtype=dtype)

    def build(self, in_shape: tuple[int, ...]) -> None:
        self._witness.build(in_shape)

    def measure(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        self._witness.fit(real, fake)
        exact = (self._witness(batch.to(_DTYPES[self._witness.dtype])).double() for batch in (real, fake))
        squared = self._witness.loss.discriminator(*exact)
        return {self.name: squared.clamp(min=0).sqrt()}
