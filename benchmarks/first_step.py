"""The first step of a new process: ``python -m benchmarks --rows start``. As a program: such a process."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

_CASES = (("MLP", "IPM"), ("MLP", "LSGAN"), ("DCGAN", "IPM"), ("DCGAN", "LSGAN"))


class Taken(NamedTuple):
    """Seconds of the processor, compilers that were called included.

    Attributes:
        imports: Of the package, with torch and JAX.
        first: Of the first fit, scores and gradient.
    """

    imports: float
    first: float


def starts(n: int, repeats: int) -> Iterator[tuple[str, Taken, Taken]]:
    """What is trained, and what its first step takes with an empty cache and, at the least, after that."""
    for architecture, loss in _CASES:
        with tempfile.TemporaryDirectory() as cache:
            cold, *warm = (_process(architecture, loss, n, cache) for _ in range(1 + repeats))
        yield f"{architecture}, {loss}, n=m={n}", cold, min(warm, key=lambda taken: taken.first)


def _process(architecture: str, loss: str, n: int, cache: str) -> Taken:
    command = [sys.executable, "-m", "benchmarks.first_step", architecture, loss, str(n)]
    told = subprocess.run(
        command, capture_output=True, check=True, text=True, env={**os.environ, "XDG_CACHE_HOME": cache}
    )
    return Taken(*json.loads(told.stdout))


def _spent() -> float:
    uses = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def main(architecture: str, loss: str, count: str) -> None:
    """Prints the seconds of this process."""
    import torch

    import lightning_gantk
    from lightning_gantk import NTKDiscriminator, programs

    programs.keep()
    made = getattr(lightning_gantk, architecture)()
    discriminator = NTKDiscriminator(made, getattr(lightning_gantk, loss)(), time=1.0)
    real, fake = torch.randn(2, int(count), 1, 32, 32)
    fake.requires_grad_()
    imported = _spent()
    discriminator.fit(real, fake.detach())
    discriminator(fake).sum().backward()
    print(json.dumps([imported, _spent() - imported]))


if __name__ == "__main__":
    main(*sys.argv[1:])
