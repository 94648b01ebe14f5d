"""IPM scores and gradient at the fakes: fused kernels, our recursions in plain JAX, and the limits of the card."""

from collections.abc import Iterator

from benchmarks import problems
from benchmarks.gpu import device, trace
from benchmarks.gpu.options import Options
from benchmarks.rows import RELU_DCGAN, RELU_MLP, Row, against_neural_tangents, timed
from benchmarks.timing import compare


def rows(options: Options) -> Iterator[Row]:
    """The table of ``benchmarks.cuda``, for real."""
    sizes = ((8, 8),) if options.tiny else ((128, 32), (1024, 32), (128, 64))
    for name, architecture in (("MLP", RELU_MLP), ("DCGAN", RELU_DCGAN)):
        for n, size in sizes:
            given = problems.batch(n, size, 3)
            fused = problems.ipm(architecture, given)
            found = compare(fused, problems.ipm(architecture, given, "jax"), repeats=3 * options.repeats)
            work = f"IPM scores + gradient, {name}, {size} x {size} x 3, n=m={n}"
            seen = trace.of(fused, 1 if options.tiny else 5)
            longest = "; ".join(f"{kernel[:40]} {part:.0%}" for kernel, part in seen.longest)
            note = f"{found.ours / (2 * n * n) * 1e9:.1f} ns a pair; {seen.kernels:.0f} kernels; {longest}"
            yield Row(
                work,
                f"plain JAX, {found.baseline * 1e3:.3f} ms",
                f"{found.ours * 1e3:.3f} ms",
                f"{found.ratio:.2f}x",
                note,
            )
    for name, architecture in (("MLP", RELU_MLP), ("DCGAN", RELU_DCGAN)):
        n, size = (8, 8) if options.tiny else (128, 32)
        found = against_neural_tangents(architecture, problems.batch(n, size, 3), options.repeats)
        yield timed(f"IPM scores + gradient, {name}, {size} x {size} x 3, n=m={n}", "neural-tangents", found)
    yield Row("copy of 1 GB on the device", "", f"{device.bandwidth() / 1e12:.2f} TB/s", "", "read and written")
    yield Row("float32 product, 8192 x 8192 x 8192", "", f"{device.flops() / 1e12:.1f} TFLOP/s", "", "without TF32")
