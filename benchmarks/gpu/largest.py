"""The largest batches in one step."""

from collections.abc import Iterator

import torch

from benchmarks.gpu import device
from benchmarks.gpu.options import Options
from benchmarks.rows import RELU_DCGAN, RELU_MLP, Row
from benchmarks.timing import seconds
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.losses import IPM, LSGAN


def rows(options: Options) -> Iterator[Row]:
    """IPM at 65,536 fakes and reals with the MLP, LSGAN at 32,768, IPM at 4,096 with the DCGAN."""
    jobs = (("MLP", RELU_MLP, IPM(), 65_536), ("DCGAN", RELU_DCGAN, IPM(), 4096), ("MLP", RELU_MLP, LSGAN(), 32_768))
    for name, architecture, loss, n in jobs:
        count, size = (8, 8) if options.tiny else (n, 32)
        yield _row(name, NTKDiscriminator(architecture, loss, check_every=0), (count, 3, size, size))


def _row(name: str, discriminator: NTKDiscriminator, shape: tuple[int, ...]) -> Row:
    fake = torch.randn(shape, device=device.TORCH).requires_grad_()
    real = torch.randn(shape, device=device.TORCH) + 0.3

    def step() -> None:
        fake.grad = None
        discriminator.fit(real, fake.detach())
        discriminator.loss.generator(discriminator(fake)).backward()
        device.synchronize()

    device.forget_peak()
    first, again = seconds(step), seconds(step)
    assert fake.grad is not None
    verdict = "all numbers" if fake.grad.isfinite().all() else "NOT ALL NUMBERS"
    work = f"{type(discriminator.loss).__name__} step, {name}, {' x '.join(map(str, shape[1:]))}, n=m={shape[0]}"
    return Row(work, "", f"{again:.2f} s", "", f"{first:.1f} s the first time; {device.peaks()}; gradient: {verdict}")
