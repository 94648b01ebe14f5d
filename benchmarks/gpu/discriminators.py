"""A training step's discriminator, infinite beside finite at equal architecture, by loss and number of samples."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks import problems
from benchmarks.gpu import device, trace
from benchmarks.gpu.options import Options
from benchmarks.rows import RELU_DCGAN, RELU_MLP, Row
from benchmarks.timing import compare
from lightning_gantk.architectures import Architecture
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla

WIDTHS = {"MLP": 512, "DCGAN": 32}  # the usual ones
_LOSSES = (IPM(), LSGAN(), Vanilla(), Hinge())
_EVENTS = 1024  # hinge goes from event to event on the host: at 8,192 that is minutes


def rows(options: Options) -> Iterator[Row]:
    """Fit, scores and gradient at the fakes."""
    jobs = list(_jobs(options))
    built = [_built(*job, options) for job in jobs]
    with ThreadPoolExecutor(6) as pool:  # first calls compile, each on a core of its own
        list(pool.map(lambda pair: pair[0](), built))
    for (name, _, loss, n), (infinite, finite) in zip(jobs, built, strict=True):
        device.forget_peak()
        found = compare(infinite, finite, repeats=options.repeats)
        work = f"{type(loss).__name__} step (fit, scores, gradient), {name}, 3 x 32 x 32, n=m={n}"
        baseline = f"finite network of width {WIDTHS[name]}, {found.baseline * 1e3:.2f} ms"
        note = f"{trace.torch_only_note()}; {device.peaks()}"
        yield Row(work, baseline, f"{found.ours * 1e3:.2f} ms", f"{found.ratio:.2f}x", note)
    for (name, _, loss, n), (infinite, _) in zip(jobs, built, strict=True):
        if isinstance(loss, IPM) and n < 8192:
            found = trace.of(infinite, 1 if options.tiny else 5)
            longest = "; ".join(f"{kernel[:60]} {part:.0%}" for kernel, part in found.longest)
            yield Row(f"trace of the IPM step, {name}, n=m={n}", "", found.summary, "", longest)


def _jobs(options: Options) -> Iterator[tuple[str, Architecture, AdversarialLoss, int]]:
    for n in (8,) if options.tiny else (128, 1024, 8192):
        for loss in (loss for loss in _LOSSES if type(loss).__name__ in options.losses):
            if not isinstance(loss, Hinge) or n <= _EVENTS:
                yield "MLP", RELU_MLP, loss, n
            if n < 8192 and not (isinstance(loss, Hinge) and n > 128):
                yield "DCGAN", RELU_DCGAN, loss, n


def _built(name: str, architecture: Architecture, loss: AdversarialLoss, n: int, options: Options) -> tuple:
    given = problems.batch(n, 8 if options.tiny else 32, 3)
    width = 8 if options.tiny else WIDTHS[name]
    return problems.infinite(architecture, loss, given), problems.finite(architecture, loss, width, given)
