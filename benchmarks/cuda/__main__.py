"""What our programs cost on a GPU that is not there: ``python -m benchmarks.cuda [MLP | DCGAN ...]``.

JAX compiles for CUDA with two wheels, of the version of jax, and CUDA's libraries, which come with torch's build for
CUDA or as wheels of their own::

    pip install jax[cuda13]       # or, beside a torch for CUDA 13: jax-cuda13-pjrt and jax-cuda13-plugin with --no-deps
    python -m benchmarks.cuda

The GPU is an H200, as ``h200.txtpb`` describes it. Where ptxas is on the PATH, registers and spills are told too.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.cuda import registers


def main(architectures: list[str]) -> None:
    """Prints a table of the IPM's scores and gradient at the fakes, in plain JAX and by fused kernels."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_PLATFORMS"] = "cpu"
        flags = f"--xla_gpu_autotune_level=0 {registers.FLAGS}{folder}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
        from benchmarks.cuda import programs  # JAX reads these variables when it is imported

        for line in programs.table(architectures):
            print(line, flush=True)
        for name, (used, spilled) in sorted(registers.of_kernels(Path(folder)).items()):
            print(f"{name}: {used} registers, {spilled} bytes spilled", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architectures", nargs="*", default=["MLP", "DCGAN"], metavar="MLP | DCGAN")
    main(parser.parse_args().architectures)
