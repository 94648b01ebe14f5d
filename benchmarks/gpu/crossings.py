"""The bridge on the device: what is copied, what a crossing costs, how often the host waits."""

from collections.abc import Iterator

import torch

from benchmarks import problems
from benchmarks.gpu import device, trace
from benchmarks.gpu.options import Options
from benchmarks.rows import RELU_MLP, Row
from benchmarks.timing import median
from lightning_gantk import bridge
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.losses import IPM, LSGAN, Vanilla


def rows(options: Options) -> Iterator[Row]:
    """Crossings of an image batch there and back, and the host's waits in a step of each loss."""
    n = 4 if options.tiny else 128
    images = torch.randn(n, 3, 32, 32, device=device.TORCH).contiguous(memory_format=torch.channels_last)
    bridge.prepare(images.device)
    before = bridge.copies()
    seconds = median(lambda: bridge.to_torch(bridge.to_jax(images)), repeats=20 * options.repeats)
    yield Row(
        f"bridge there and back, ({n}, 3, 32, 32)",
        "",
        f"{seconds * 1e6:.0f} us",
        "",
        f"{bridge.copies() - before} copies",
    )
    given = problems.batch(n, channels=3)
    for loss in (IPM(), LSGAN(), Vanilla()):
        step = problems.step(NTKDiscriminator(RELU_MLP, loss), *problems.tensors(given))
        step()
        before = bridge.copies()
        found = trace.of(step, 1 if options.tiny else 10)
        copied = bridge.copies() - before
        yield Row(f"{type(loss).__name__} step, MLP, n=m={n}", "", found.summary, "", f"{copied} tensors copied")
