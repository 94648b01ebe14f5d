"""The spectrum of an infinitely wide discriminator's kernel."""

import math
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from lightning_gantk.callbacks.monitor import Monitor, fixed_samples
from lightning_gantk.checks import whole

if TYPE_CHECKING:
    from lightning_gantk.gan import GAN


class KernelSpectrum(Monitor):
    r"""The eigenvalues of the Gram matrix K of real and generated samples, which say how fast directions are learnt.

    Half of the points are of the batch, half are samples from fixed latents. Of a discriminator without a kernel, a
    finite one, and of samples with classes nothing is logged. Logged, with eigenvalues :math:`\lambda_i` and their
    shares :math:`p_i = \lambda_i / \sum_j \lambda_j`:

    - ``kernel/condition_number``: largest by smallest eigenvalue; a lower bound where rounding hides the smallest;
    - ``kernel/largest_share``: :math:`\max p_i`, of the trace;
    - ``kernel/effective_rank``: :math:`\exp(-\sum p_i \log p_i)` (Roy and Vetterli, "The effective rank", 2007);
    - in TensorBoard the histogram ``kernel/log10_eigenvalues`` and the figure ``kernel/spectrum``.

    Args:
        every_n_steps: Generator steps from one measurement to the next.
        num_points: How many points at most; the time of a measurement grows with the square of it.

    Raises:
        ConfigError: If a number is not positive.

    Examples:
        >>> from lightning_gantk.callbacks import KernelSpectrum
        >>> KernelSpectrum(every_n_steps=100, num_points=64).num_points
        64
    """

    def __init__(self, every_n_steps: int = 500, num_points: int = 256):
        super().__init__(every_n_steps)
        whole("num_points", num_points, of="of KernelSpectrum")
        self.num_points = num_points

    def measure(self, trainer: Trainer, gan: "GAN", real: Tensor) -> dict[str, float]:
        if gan.generator.classes is not None:
            return {}  # the kernel is of samples with their classes
        real = real[: math.ceil(self.num_points / 2)]
        fake = fixed_samples(gan, min(len(real), max(self.num_points - len(real), 1))).to(real)
        gram = gan.discriminator.gram(torch.cat([real, fake]))
        if gram is None:
            return {}
        values = torch.linalg.eigvalsh(gram.double().cpu()).flip(0)
        resolved = values.clamp(min=float(values[0]) * len(values) * torch.finfo(gram.dtype).eps)
        shares = resolved / resolved.sum()
        self._show(trainer, resolved)
        return {
            "kernel/condition_number": float(resolved[0] / resolved[-1]),
            "kernel/largest_share": float(shares[0]),
            "kernel/effective_rank": float(torch.exp(-(shares * shares.log()).sum())),
        }

    @staticmethod
    def _show(trainer: Trainer, values: Tensor) -> None:
        boards = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not boards:
            return
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.add_subplot(xlabel="index", ylabel="eigenvalue of K")
        axes.loglog(range(1, len(values) + 1), values)
        for board in boards:
            board.add_histogram("kernel/log10_eigenvalues", values.log10(), trainer.global_step)
            board.add_figure("kernel/spectrum", figure, trainer.global_step)
