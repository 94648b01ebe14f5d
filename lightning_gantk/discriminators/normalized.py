"""The best discriminator of a given norm."""

import math
from typing import Literal

import torch
from torch import Tensor

from lightning_gantk.checks import number
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.discriminators.ntk import NTKDiscriminator
from lightning_gantk.discriminators.wrapper import Wrapper
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM


class Normalized(Wrapper):
    """``f = radius w / |w|_H``: the maximiser of ``E_fake f - E_real f`` over a ball of the kernel's space.

    w is the witness that IPM finds, ``|w|_H`` the MMD. The generator then lowers the MMD, not its square: it does not
    slow down on the way, and arrives in finite time. By "scaled" the radius is that of Arbel, Sutherland, Binkowski and
    Gretton ("On gradient regularizers for MMD GANs", NeurIPS 2018),

        radius^-2 = regularizer + E_real k(y, y) + E_real sum_a d_a d'_a k(y, y)

    so that f cannot be steep where the reals are.

    Args:
        discriminator: One with a kernel or a linearised network, IPM and f_0 = 0, reset at every fit.
        by: "mmd" for radius 1, or "scaled", for smooth kernels that are functions of a distance.
        regularizer: Of the scaled radius.
        floor: The least MMD that is divided by: below it f is ``w / floor``, and a flow does not overshoot.

    Raises:
        ConfigError: If an argument is out of range, or the discriminator is of another kind.

    Examples:
        >>> import torch
        >>> from lightning_gantk import IPM, NTKDiscriminator, RBF
        >>> from lightning_gantk.discriminators import Normalized
        >>> discriminator = Normalized(NTKDiscriminator(RBF(gamma=0.5), IPM()), by="mmd")
        >>> discriminator.fit(torch.zeros(4, 1), torch.ones(4, 1))
        >>> scores = discriminator(torch.tensor([[1.0], [0.0]]))
        >>> round((scores[0] - scores[1]).item() ** 2, 4)  # the squared MMD, 2 - 2 exp(-1/2)
        0.7869
    """

    def __init__(
        self,
        discriminator: Discriminator,
        by: Literal["mmd", "scaled"] = "mmd",
        *,
        regularizer: float = 1.0,
        floor: float = 1e-3,
    ):
        super().__init__(discriminator)
        if by not in ("mmd", "scaled"):
            raise ConfigError(f"'by' must be 'mmd' or 'scaled', got {by!r}.")
        if by == "scaled" and not isinstance(discriminator, NTKDiscriminator):
            raise ConfigError(f"by='scaled' needs an NTKDiscriminator, got {type(discriminator).__name__}.")
        if not isinstance(discriminator.loss, IPM) or not discriminator.time:
            raise ConfigError(
                "Normalized divides the witness of IPM by its norm: the discriminator's loss must be IPM and its time "
                f"above 0, got {discriminator.loss!r} and time={discriminator.time}."
            )
        if isinstance(discriminator, NTKDiscriminator) and discriminator.initial is not None:
            raise ConfigError("Normalized divides a witness, which starts from f = 0: leave 'initial' out.")
        if not discriminator.has_witness:
            raise ConfigError(
                f"Normalized needs a discriminator that is a witness: an NTKDiscriminator or a LinearizedDiscriminator "
                f"that is not kept, with neither decay, inertia nor a gradient penalty, got {discriminator!r}."
            )
        for name, value in (("regularizer", regularizer), ("floor", floor)):
            number(name, value, positive=True)
        self.by, self.regularizer, self.floor = by, regularizer, floor
        self._factor = 1.0

    @property
    def scores_before_fit(self) -> bool:
        return False  # what it divides by belongs to a batch

    @torch.no_grad()
    def fit(self, real: Tensor, fake: Tensor) -> None:
        super().fit(real, fake)
        assert self.time is not None  # it is above 0
        # With f = t w, L(f) = t |w|^2.
        energy = self.loss.discriminator(self.discriminator(real), self.discriminator(fake)) / self.time
        mmd = max(math.sqrt(max(float(energy), 0.0)), self.floor)
        self._factor = self._radius(real) / (self.time * mmd)

    def forward(self, x: Tensor) -> Tensor:
        return self._factor * self.discriminator(x)

    def _radius(self, real: Tensor) -> float:
        if self.by == "mmd":
            return 1.0
        assert isinstance(self.discriminator, NTKDiscriminator)
        return (self.regularizer + self.discriminator.energy_at(real)) ** -0.5

    def extra_repr(self) -> str:
        return f"by={self.by!r}, regularizer={self.regularizer:g}, floor={self.floor:g}"
