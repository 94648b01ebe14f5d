"""Peak memory of one job in a process of its own: ``python -m benchmarks.memory ours mlp 8192``."""

import gc
import subprocess
import sys
from pathlib import Path

import jax

from benchmarks import baselines, problems
from lightning_gantk.architectures import DCGAN, MLP

_ARCHITECTURES = {"mlp": MLP(hidden_layers=3), "dcgan": DCGAN()}


def peak(side: str, architecture: str, n: int) -> float | None:
    """MiB over the inputs that the IPM's scores and gradient take at n = m, or None where the process is killed.

    Args:
        side: "ours" or "neural-tangents".
        architecture: "mlp" or "dcgan", on 32 x 32 x 1.
        n: Fakes, and reals.
    """
    command = [sys.executable, "-m", "benchmarks.memory", side, architecture, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def _measure(side: str, architecture: str, n: int) -> float:
    described, given = _ARCHITECTURES[architecture], problems.batch(n)
    small = problems.batch(8)
    if side == "ours":
        problems.ipm(described, small)()  # libraries and compilers are in memory before the measurement
        run = problems.ipm(described, given)
    else:
        function = baselines.ipm(described)
        jax.block_until_ready(function(small.x, small.points, small.weights))

        def run() -> object:
            return jax.block_until_ready(function(given.x, given.points, given.weights))

    before = _forget_peak()
    run()
    return _peak_mib() - before


def _forget_peak() -> float:
    """MiB in use now; what was used before counts no more."""
    gc.collect()
    if jax.default_backend() == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # Linux: sets the peak to what is in use
    return _peak_mib()


def _peak_mib() -> float:
    stats = jax.devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
