"""``gantk doctor``: what is installed, what works here, and the line that mends what does not."""

import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lightning_gantk import __version__
from lightning_gantk.errors import ConfigError
from lightning_gantk.words import Parser

_PACKAGES = ("torch", "torchvision", "lightning", "jsonargparse", "jax", "jaxlib", "torchmetrics", "numpy")
_LEAST_FREE = 5 * 2**30  # bytes: checkpoints of some runs
_IMAGES, _SIZE = 64, 32  # of the problem that native code and JAX are timed on


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        about: What was looked at.
        says: What was found.
        mend: What to do where it is not well; "" where it is.
        needed: Whether nothing works without it.
    """

    about: str
    says: str
    mend: str = ""
    needed: bool = False

    def __str__(self) -> str:
        mark = "ok  " if not self.mend else ("BAD " if self.needed else "-   ")
        mend = f"\n{'':20}-> {self.mend}" if self.mend else ""
        return f"{mark}{self.about:<16}{self.says}{mend}"


def main(args: list[str]) -> int:
    """Prints the report.

    Returns:
        1 where something is missing that nothing works without, else 0.
    """
    parser = Parser("gantk doctor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="Compile and time nothing.")
    quick, code = parser.parse_args(args).quick, 0
    for look in (_versions, _machine, _torch_devices, _jax, _meeting, _native, _neural_tangents, _inception, _disk):
        if quick and look is _native:
            continue
        for finding in _safely(look):
            print(finding, flush=True)
            code |= bool(finding.mend and finding.needed)
    return code


def _safely(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as error:  # a report of what is broken goes on past it
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        yield Finding(look.__name__.strip("_").replace("_", " "), words, "see this error; install the package anew")


def _versions() -> Iterator[Finding]:
    here = f"lightning_gantk {__version__}, Python {platform.python_version()}"
    known = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    missing = [name for name in _PACKAGES if _version(name) is None]
    yield Finding("versions", f"{here}, {', '.join(known)}")
    for name in missing:
        needed = name not in ("jax", "jaxlib")
        yield Finding(name, "not installed", f"pip install {name.removesuffix('lib')}", needed=needed)


def _machine() -> Iterator[Finding]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    chosen = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    because = f" ({', '.join(f'{name}={value}' for name, value in chosen.items())})" if chosen else ""
    mend = ""
    if threads > cores:
        mend = f"export OMP_NUM_THREADS={cores}: more threads than cores stand in each other's way"
    elif threads < cores and chosen:
        mend = f"unset {' '.join(chosen)}, if nothing else runs here"
    yield Finding("threads", f"{threads} of torch on {cores} cores{because}", mend)


def _torch_devices() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        yield Finding("torch devices", f"CPU, {', '.join(names)}")
    else:
        build = "built for CUDA, and finds no GPU" if torch.version.cuda else "built for the CPU"
        yield Finding("torch devices", f"CPU alone: torch is {build}")


def _jax() -> Iterator[Finding]:
    if importlib.util.find_spec("jax") is None:
        yield Finding("JAX", "not installed: finite discriminators alone", "pip install jax")
        return
    import jax
    import torch

    kinds = sorted({device.platform for device in jax.devices()})
    mend = ""
    if torch.cuda.is_available() and "gpu" not in kinds:
        mend = "pip install 'lightning-gantk[cuda]': torch has a GPU, and JAX does not see it"
    yield Finding("JAX devices", ", ".join(kinds), mend)


def _meeting() -> Iterator[Finding]:
    if importlib.util.find_spec("jax") is None:
        return
    import torch

    from lightning_gantk import bridge

    for name in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        device = torch.device(name, 0) if name == "cuda" else torch.device(name)
        try:
            bridge.prepare(device)
        except ConfigError as error:
            yield Finding(f"meet on {name}", str(error).split(". ")[0], "pip install 'lightning-gantk[cuda]'")
            continue
        sent = torch.ones(64, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
        before = bridge.copies()
        back = bridge.to_torch(bridge.to_jax(sent) + 1)
        copies = bridge.copies() - before
        good = bool((back == 2).all()) and back.device == sent.device
        says = "torch and JAX share memory, with no copy" if not copies else f"{copies} copies on the way"
        mend = "" if good and not copies else "slower, and no more than that" if good else "install torch and JAX anew"
        yield Finding(f"meet on {name}", says, mend)


def _native() -> Iterator[Finding]:
    if importlib.util.find_spec("jax") is None:
        return
    import jax

    from lightning_gantk.architectures import DCGAN
    from lightning_gantk.kernels import expansion
    from lightning_gantk.kernels.architecture import ArchitectureKernel
    from lightning_gantk.kernels.backends.native import available, compiler

    if os.environ.get("LIGHTNING_GANTK_NATIVE", "1") == "0":
        yield Finding("native kernels", "switched off", "unset LIGHTNING_GANTK_NATIVE")
        return
    try:
        words = compiler.version().splitlines()[0]
    except (OSError, ValueError) as error:
        yield Finding("native kernels", str(error), "pip install ziglang, or install g++")
        return
    begun = time.perf_counter()
    if not available():
        yield Finding("native kernels", f"{words}: does not compile them", "pip install ziglang, and unset CXX")
        return
    took = time.perf_counter() - begun
    with jax.default_device(jax.devices("cpu")[0]):
        points = jax.random.normal(jax.random.key(0), (2 * _IMAGES, _SIZE, _SIZE, 1))
        weights = jax.numpy.ones(2 * _IMAGES)
        seconds = {}
        for backend in ("native", "jax"):
            kernel = ArchitectureKernel(DCGAN(blocks=3, b_std=0.5), backend=backend)
            run = jax.jit(lambda p, w, kernel=kernel: expansion.scores_and_gradient_at_points(kernel, p, w, _IMAGES))
            seconds[backend] = min(_timed(run, points, weights) for _ in range(3))
    ratio = seconds["jax"] / seconds["native"]
    says = f"{words}; ready in {took:.1f} s; a DCGAN kernel is {ratio:.1f} times as fast as in JAX"
    yield Finding("native kernels", says, "" if ratio > 1 else "export LIGHTNING_GANTK_NATIVE=0: JAX is faster here")


def _timed(run: Callable[..., object], *args: object) -> float:
    import jax

    jax.block_until_ready(run(*args))  # compiled
    begun = time.perf_counter()
    jax.block_until_ready(run(*args))
    return time.perf_counter() - begun


def _neural_tangents() -> Iterator[Finding]:
    from lightning_gantk.kernels import neural_tangents

    if importlib.util.find_spec("jax") is None:
        return
    try:
        neural_tangents.load()
    except ConfigError as error:
        says = "not there" if _version("neural-tangents") is None else str(error)
        yield Finding("neural-tangents", f"{says}: {neural_tangents.PURPOSE}", neural_tangents.INSTALLATION)
        return
    yield Finding("neural-tangents", f"{_version('neural-tangents')} works beside this JAX")


def _inception() -> Iterator[Finding]:
    from lightning_gantk.metrics.inception import weights_file

    path = weights_file()
    if path.is_file():
        yield Finding("Inception", f"weights are in {path}")
    else:
        yield Finding(
            "Inception",
            "no weights: FID on photographs downloads 95 MB at first use",
            f"without a network put them to {path}; LeNetFeatures and EnergyDistance need none",
        )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    mend = "make room: a checkpoint has megabytes" if free < _LEAST_FREE else ""
    yield Finding("disk", f"{free / 2**30:,.0f} GB free here", mend)
    if not os.access(".", os.W_OK):
        yield Finding("disk", "nothing can be written here", "change to a folder that you may write to")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
